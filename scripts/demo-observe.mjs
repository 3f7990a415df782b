// npm run demo:observe -- [express|koa|fastify]: the cities API with Prometheus and Grafana beside it, where these are installed.
import { requireNode } from './lib/node-version.mjs'

requireNode()
Promise.all([import('./lib/say.mjs'), import('./lib/start.mjs'), import('./lib/observe.mjs')]).then(
  ([{ runMain, UserError }, { start }, { observe }]) =>
    runMain(async () => {
      const port = process.env.PORT || '3000'
      if (port === '0') throw new UserError('PORT must be a port, since Prometheus has to know where to look.')
      const observers = await observe(`localhost:${port}`)
      try {
        return await start('cities-api', process.argv.slice(2))
      } finally {
        await observers.stop()
      }
    }),
)
