import { type RedisServer, startRedis, until } from './redis-server.ts'
import { TcpProxy } from './tcp-proxy.ts'

/** A server and a link to it, for trouble to happen to. */
export interface Stage {
  readonly server: RedisServer
  readonly proxy: TcpProxy
  stop(): Promise<void>
}

export async function startStage(): Promise<Stage> {
  const loadsSlowly = ['--key-load-delay', '400', '--loading-process-events-interval-bytes', '1024']
  const server = await startRedis(...loadsSlowly, '--maxmemory-policy', 'noeviction')
  const proxy = await new TcpProxy(server.port).start()
  return {
    server,
    proxy,
    async stop() {
      server.thaw()
      proxy.stop()
      await server.stop()
    },
  }
}

/** Something that happens to a Redis in use, and passes. */
export interface Trouble {
  readonly name: string
  /** Brings it about; what it answers with ends it. */
  readonly begin: (stage: Stage) => Promise<() => unknown>
  /**
   * What of Redis is left meanwhile: nothing, what needs no write, everything now and then, or everything (and then
   * nobody may notice).
   */
  readonly leaves: 'nothing' | 'reads' | 'moments' | 'everything'
  /** Whether Redis has forgotten everything afterwards. */
  readonly forgets?: true
  /** Whether it happens to the link, which then is the proxy's. */
  readonly onLink?: true
  /** How long it should last to be worth its name. Default: a third of a second. Milliseconds. */
  readonly lastsMs?: number
}

/** Where clients connect for that trouble to reach them. */
export const urlFor = ({ onLink }: Trouble, { server, proxy }: Stage): string =>
  onLink ? `redis://127.0.0.1:${proxy.port}` : server.url

/** Takes more than a second to load, at 400 microseconds each. */
const fill = "for i = 1, 3000 do redis.call('SET', 'fill:' .. i, 'x') end"

function every(ms: number, act: () => unknown): () => void {
  void act()
  const timer = setInterval(act, ms)
  return () => clearInterval(timer)
}

export const troubles: readonly Trouble[] = [
  {
    name: 'killed, and restarted empty',
    leaves: 'nothing',
    forgets: true,
    async begin({ server }) {
      await server.kill()
      return () => server.restart()
    },
  },
  {
    name: 'out of reach: connections are cut, and refused from then on',
    leaves: 'nothing',
    onLink: true,
    async begin({ proxy }) {
      proxy.refuse()
      return () => proxy.start()
    },
  },
  {
    name: 'frozen',
    leaves: 'nothing',
    lastsMs: 1_200,
    async begin({ server }) {
      server.freeze()
      return () => server.thaw()
    },
  },
  {
    name: 'read-only, as a replica after a failover',
    leaves: 'reads',
    async begin({ server }) {
      await server.cli('REPLICAOF', '127.0.0.1', '1')
      return () => server.cli('REPLICAOF', 'NO', 'ONE')
    },
  },
  {
    name: 'out of memory, and told not to evict',
    leaves: 'reads',
    async begin({ server }) {
      await server.cli('CONFIG', 'SET', 'maxmemory', '1')
      return () => server.cli('CONFIG', 'SET', 'maxmemory', '0')
    },
  },
  {
    name: 'loading its snapshot',
    leaves: 'nothing',
    lastsMs: 700,
    async begin({ server }) {
      await server.cli('EVAL', fill, '0')
      await server.cli('SAVE')
      // Clients believe Redis's estimate of how long it will take, which is in whole seconds: ten, if one has just passed.
      const intoSecond = Date.now() % 1_000
      if (intoSecond > 500) await new Promise((resolve) => setTimeout(resolve, 1_000 - intoSecond))
      await server.kill()
      const restarted = server.restart()
      await until(async () => /LOADING/.test(await server.cli('PING').catch(({ stdout }) => stdout)))
      return () => restarted
    },
  },
  {
    name: 'behind a slow link',
    leaves: 'nothing',
    onLink: true,
    async begin({ proxy }) {
      proxy.delayMs = 300
      return () => {
        proxy.delayMs = 0
      }
    },
  },
  {
    name: 'behind a link that is reset in the middle of replies',
    leaves: 'moments',
    onLink: true,
    lastsMs: 600,
    async begin({ proxy }) {
      const stop = every(120, () => {
        proxy.resetAfterBytes = 70
      })
      return () => {
        stop()
        proxy.resetAfterBytes = Number.POSITIVE_INFINITY
      }
    },
  },
  {
    name: 'made to forget its scripts again and again',
    leaves: 'everything',
    async begin({ server }) {
      return every(30, () => server.cli('SCRIPT', 'FLUSH').catch(() => {}))
    },
  },
]
