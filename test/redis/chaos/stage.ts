import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { mastersOf } from '../../support/redis-cluster.ts'
import { type RedisCluster, type RedisServer, startCluster, startRedis, until } from '../../support/redis-server.ts'
import { TcpProxy } from '../../support/tcp-proxy.ts'
import { type Loss, machineMs, type Outage } from './history.ts'

export type StageKind = 'no persistence' | 'append-only file' | 'Cluster'

/** Which server the processes connect to, and what of it they are told. */
const everything = Number.NEGATIVE_INFINITY

/** How often a watch looks, and from when on an answer is late: before half of the deadline that decisions have. */
const pulseMs = 20
const lateMs = 200

/** Resolves when a server has answered, or does not let anybody connect. */
function answers(port: number): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => socket.write('PING\r\n'))
    socket.setTimeout(5_000, () => socket.destroy())
    socket.on('error', () => {})
    socket.on('data', () => socket.destroy())
    socket.on('close', () => resolve())
  })
}

/** What a link to a replica may have had on its way when it was cut. Milliseconds. */
const underWayMs = 250

/**
 * The Redis of a chaos run, what can be done to it, and what has been: when it was not there, and what it has lost. The checker
 * allows for these and for nothing else.
 */
export class Stage {
  readonly kind: StageKind
  readonly servers: readonly RedisServer[]
  readonly outages: Outage[] = []
  readonly losses: Loss[] = []
  readonly #proxy: TcpProxy | undefined
  readonly #cluster: RedisCluster | undefined

  private constructor(
    kind: StageKind,
    servers: readonly RedisServer[],
    { proxy, cluster }: { proxy?: TcpProxy; cluster?: RedisCluster },
  ) {
    this.kind = kind
    this.servers = servers
    this.#proxy = proxy
    this.#cluster = cluster
  }

  static async start(kind: StageKind): Promise<Stage> {
    if (kind === 'Cluster') {
      const cluster = await startCluster(3, 1)
      return new Stage(kind, cluster.nodes, { cluster })
    }
    // With `always`, what was answered is in the file: a kill loses nothing.
    const persists = ['--appendonly', 'yes', '--appendfsync', 'always']
    const server = await startRedis(...(kind === 'append-only file' ? persists : []))
    return new Stage(kind, [server], { proxy: await new TcpProxy(server.port).start() })
  }

  /** How a worker is told where Redis is. */
  get env(): Readonly<Record<string, string>> {
    if (!this.#proxy) return { NODES: JSON.stringify(this.servers.map(({ port }) => ({ host: '127.0.0.1', port }))) }
    return { REDIS: `redis://127.0.0.1:${this.#proxy.port}` }
  }

  /**
   * Looks for itself whether the servers answer, as often as that, until it is to stop: on a machine that is busy with something
   * else Redis can be late without anybody's doing. Answers when that is over.
   */
  async watch(until: () => boolean): Promise<void> {
    const ports = this.#proxy ? [this.#proxy.port] : this.servers.map(({ port }) => port)
    await Promise.all(
      ports.map(async (port) => {
        for (; !until(); await sleep(pulseMs)) {
          const fromMs = machineMs()
          await answers(port)
          const untilMs = machineMs()
          if (untilMs - fromMs > lateMs) this.outages.push({ what: 'busy', fromMs, untilMs })
        }
      }),
    )
  }

  async stop(): Promise<void> {
    this.#proxy?.stop()
    for (const server of this.servers) server.thaw()
    await Promise.all(this.servers.map((server) => server.stop()))
  }

  /** While that lasts Redis may be missed. */
  async #out(what: string, act: () => Promise<void>): Promise<void> {
    const outage: Outage = { what, fromMs: machineMs(), untilMs: Number.POSITIVE_INFINITY }
    this.outages.push(outage)
    await act()
    outage.untilMs = machineMs()
  }

  /** Somewhere while that happens, what was charged since then is lost. */
  async #loses(what: string, sinceMs: number, act: () => Promise<unknown>): Promise<void> {
    const loss: Loss = { what, sinceMs, fromMs: machineMs(), untilMs: Number.POSITIVE_INFINITY }
    this.losses.push(loss)
    await act()
    loss.untilMs = machineMs()
  }

  /** Nothing is there while the application starts. */
  async absent(meanwhile: () => Promise<void>): Promise<void> {
    await this.#out('boot', async () => {
      await this.#loses('boot', everything, () => Promise.all(this.servers.map((server) => server.kill())))
      await meanwhile()
      await Promise.all(this.servers.map((server) => server.restart()))
      await this.#whole()
    })
  }

  /** Each node of the Cluster answers for its slots again. */
  async #whole(): Promise<void> {
    if (!this.#cluster) return
    const masters = this.servers.length / 2
    await until(async () => {
      const infos = await Promise.all(this.servers.map((server) => server.cli('CLUSTER', 'INFO').catch(() => '')))
      return (
        infos.every((info) => info.includes('cluster_state:ok')) && (await mastersOf(this.#cluster!)).length === masters
      )
    }, 60_000)
  }

  async freeze(server: RedisServer, ms: number): Promise<void> {
    await this.#out('freeze', async () => {
      server.freeze()
      await sleep(ms)
      server.thaw()
      await this.#whole()
    })
  }

  /** SIGKILL, and again: with what its file has, which may be nothing. */
  async kill(server: RedisServer, ms: number): Promise<void> {
    await this.#out('kill', async () => {
      if (this.kind === 'append-only file') await server.kill()
      else await this.#loses('kill', everything, () => server.kill())
      await sleep(ms)
      await server.restart()
      await this.#whole()
    })
  }

  async flushAll(server: RedisServer): Promise<void> {
    await this.#loses('FLUSHALL', everything, () => server.cli('FLUSHALL').catch(() => {}))
  }

  /** Nobody may notice. */
  async flushScripts(server: RedisServer): Promise<void> {
    await server.cli('SCRIPT', 'FLUSH').catch(() => {})
  }

  /** Connections are broken, and can be made again at once. */
  async cut(server: RedisServer): Promise<void> {
    await this.#out('cut', async () => {
      await server.cli('CLIENT', 'KILL', 'TYPE', 'normal').catch(() => {})
    })
  }

  /** Who listens hears nothing: the connection is broken again and again, or is silent. No outage of what decides. */
  async deafen(server: RedisServer, ms: number, silently: boolean): Promise<void> {
    if (silently && this.#proxy) {
      this.#proxy.losesMessages = true
      await sleep(ms)
      this.#proxy.losesMessages = false
      return
    }
    for (const end = machineMs() + ms; machineMs() < end; await sleep(50))
      await server.cli('CLIENT', 'KILL', 'TYPE', 'pubsub').catch(() => {})
  }

  /** A master whose replica was cut off before is killed, and the replica takes over, without the last writes. Answers with it. */
  async failover(which: number, meanwhile: () => Promise<unknown> = () => sleep(700)): Promise<RedisServer> {
    const masters = await mastersOf(this.#cluster!)
    const lost = masters[which % masters.length]!
    const replica = await this.#replicaOf(lost.id)
    const cutMs = machineMs()
    // It is turned away from now on: nobody of that name may in.
    await replica.cli('CONFIG', 'SET', 'masteruser', 'nobody')
    await replica.cli('CONFIG', 'SET', 'masterauth', 'nothing')
    await lost.server.cli('CLIENT', 'KILL', 'TYPE', 'replica')
    await meanwhile()
    await this.#out('failover', async () => {
      await this.#loses('failover', cutMs - underWayMs, async () => {
        await lost.server.kill()
        await until(async () => (await mastersOf(this.#cluster!)).some(({ server }) => server === replica), 20_000)
      })
      await replica.cli('CONFIG', 'SET', 'masteruser', '')
      await replica.cli('CONFIG', 'SET', 'masterauth', '')
      await lost.server.restart()
      await this.#whole()
    })
    return replica
  }

  async #replicaOf(id: string): Promise<RedisServer> {
    for (const server of this.servers) {
      const lines = (await server.cli('CLUSTER', 'NODES').catch(() => '')).split('\n')
      const own = lines.find((line) => line.includes('myself'))?.split(' ')
      if (own?.[3] === id) return server
    }
    throw new Error(`${id} has no replica`)
  }

  /** Keys that would stay for ever. */
  async keysForEver(): Promise<string[]> {
    const script = `local found = {}
      for _, key in ipairs(redis.call('KEYS', '*')) do
        if redis.call('PTTL', key) == -1 then found[#found + 1] = key end
      end
      return found`
    const masters = this.#cluster ? (await mastersOf(this.#cluster)).map(({ server }) => server) : this.servers
    const found = await Promise.all(masters.map((server) => server.cli('EVAL', script, '0').catch(() => '')))
    return found.flatMap((text) => text.split('\n').filter(Boolean))
  }
}
