// A process that has loaded what takes long, and waits for its turn: then it is a worker within a fraction of a second.
import '@sluice/node'
import '@sluice/redis'
import 'ioredis'

// It goes on listening, which keeps the channel to its parent open while the rest is loaded.
const env = await new Promise<Record<string, string>>((resolve) => process.on('message', resolve))
Object.assign(process.env, env)
await import('./worker.ts')
