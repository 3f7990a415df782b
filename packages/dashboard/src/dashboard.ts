import { accessOf, createHost, type Door, doorOn, type Operated, operatorWays, type Way } from '@sluice/admin'
import { Peers } from './joined/peers.ts'
import { type DashboardOptions, resolveDashboard } from './options.ts'
import { Figures } from './page/figures.ts'
import { find } from './page/find.ts'
import { Live } from './page/live.ts'
import { page } from './page/page.ts'
import { Monitor, type Watched } from './watch/monitor.ts'

/**
 * A live page of what an instance does: hit rates and reasons by route, limits, memory, processes, purges. Closed unless `authorize`
 * opens it, and read-only unless `actions` say otherwise. Watching begins now; `sluice.close()` ends it.
 *
 * Mount it in front of the application's own limits and body parsers.
 *
 * @param sluice - what `createSluice` answered; on Fastify `app.sluice`
 * @throws SluiceError `ERR_SLUICE_OPTION` when an option is wrong, and for no `authorize` outside development
 * @example
 * ```ts
 * import { dashboard } from '@sluice/dashboard'
 *
 * app.use('/sluice', dashboard(sluice, { authorize: (req) => req.user?.isAdmin && req.user.name, actions: true }))
 * // Koa:     app.use(dashboard(sluice, { authorize, path: '/sluice' }).koa)
 * // Fastify: app.register(dashboard(app.sluice, { authorize }).fastify, { prefix: '/sluice' })
 * ```
 */
// biome-ignore lint/suspicious/noExplicitAny: the request is Express's, Koa's, Fastify's or node's, as the application has it.
export function dashboard(sluice: Operated & Watched, options: DashboardOptions<any> = {}): Door {
  const rules = resolveDashboard(options as DashboardOptions<never>)
  const access = accessOf('dashboard', sluice)
  const monitor = new Monitor(sluice, access, rules)
  const peers = new Peers(monitor, access, () => live.tick())
  const figures = new Figures({ sluice, access, monitor, peers, actions: rules.actions })
  const live = new Live(figures)
  access.whenClosed(() => {
    monitor.stop()
    live.close()
    return peers.close()
  })
  const ways = new Map<string, Way>([
    ...operatorWays,
    ['/', { method: 'GET', go: page }],
    ['/live', { method: 'GET', go: (passage) => live.open(passage) }],
    ['/frame', { method: 'GET', go: (passage) => figures.frame(passage) }],
    ['/routes', { method: 'GET', go: (passage) => figures.routes(passage) }],
    ['/find', { method: 'GET', go: (passage) => find(passage, monitor) }],
  ])
  const { host } = createHost('dashboard', sluice, rules, ways, access)
  return doorOn(host)
}
