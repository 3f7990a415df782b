import { type RedisCluster, type RedisServer, until } from './redis-server.ts'

/** A node that answers for slots. */
export interface Master {
  readonly server: RedisServer
  readonly id: string
  /** `0-5460`, or a single one. */
  readonly slots: readonly string[]
}

/** The nodes that answer for slots now. */
export async function mastersOf({ nodes }: RedisCluster): Promise<Master[]> {
  const running = await Promise.all(
    nodes.map(async (server) => {
      const lines = (await server.cli('CLUSTER', 'NODES').catch(() => '')).split('\n')
      const own = lines.find((line) => line.includes('myself'))?.split(' ')
      if (!own || !own[2]!.includes('master')) return []
      return [{ server, id: own[0]!, slots: own.slice(8) }]
    }),
  )
  return running.flat().filter(({ slots }) => slots.length > 0)
}

export function holds({ slots }: Master, slot: number): boolean {
  return slots.some((range) => {
    const [from, to = from] = range.split('-').map(Number)
    return slot >= from! && slot <= to!
  })
}

/** Moves a slot with everything in it, a few keys at a time, as `redis-cli --cluster reshard` does. */
export async function moveSlot(slot: number, from: Master, to: Master, keysAtOnce = 10): Promise<void> {
  const name = String(slot)
  await to.server.cli('CLUSTER', 'SETSLOT', name, 'IMPORTING', from.id)
  await from.server.cli('CLUSTER', 'SETSLOT', name, 'MIGRATING', to.id)
  for (;;) {
    const keys = (await from.server.cli('CLUSTER', 'GETKEYSINSLOT', name, String(keysAtOnce))).split('\n')
    const some = keys.filter(Boolean)
    if (some.length === 0) break
    const address = ['127.0.0.1', String(to.server.port), '', '0', '1000']
    await from.server.cli('MIGRATE', ...address, 'REPLACE', 'KEYS', ...some)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  for (const { server } of [to, from]) await server.cli('CLUSTER', 'SETSLOT', name, 'NODE', to.id)
}

/** Every replica has everything its master has by now, whatever is written meanwhile. */
export async function replicated({ nodes }: RedisCluster): Promise<void> {
  const states = (): Promise<string[]> =>
    Promise.all(nodes.map((node) => node.cli('INFO', 'replication').catch(() => '')))
  const ends = (await states()).map((state) => Number(/master_repl_offset:(\d+)/.exec(state)?.[1]))
  await until(async () => {
    const replicas = (await states()).flatMap((state, i) =>
      [...state.matchAll(/^slave\d+:.*offset=(\d+)/gm)].map(([, offset]) => Number(offset) >= ends[i]!),
    )
    return replicas.length > 0 && replicas.every(Boolean)
  })
}

/** The slot of a key with a hash tag. */
export function slotOf(key: string): number {
  return crc16(/\{(.*?)\}/.exec(key)![1]!) % 16_384
}

/** CRC16/XMODEM, by which a Cluster assigns slots. */
function crc16(text: string): number {
  let crc = 0
  for (const byte of Buffer.from(text)) {
    crc ^= byte << 8
    for (let bit = 0; bit < 8; bit++) crc = (crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1) & 0xffff
  }
  return crc
}
