/** What takes part in the trial of `eviction.mjs`: LRU, what papers describe, and the policy that the store runs, itself. */
import { Eviction } from '../../../packages/core/dist/esm/cache/store/eviction/eviction.js'
import { lru, sieve, wTinyLfu } from './policies.mjs'

/** The store's policy, with nothing of the store around it. */
function sluice(capacity, worth) {
  const eviction = new Eviction({ maxBytes: capacity, isOver: () => false, worth })
  const nodes = new Map()
  let held = 0
  return (key, size = 1, cost = 1) => {
    const known = nodes.get(key)
    if (known !== undefined) {
      eviction.hit(known)
      return true
    }
    if (size > capacity) return false
    const node = { older: undefined, newer: undefined, size, heat: 0, name: `/objects/${key}`, key, cost }
    nodes.set(key, node)
    eviction.add(node)
    held += size
    while (held > capacity) {
      const victim = eviction.victim()
      eviction.forget(victim)
      eviction.remove(victim)
      nodes.delete(victim.key)
      held -= victim.size
    }
    eviction.settle(capacity)
    return false
  }
}

export const uniform = {
  lru,
  sieve,
  'w-tinylfu': (capacity) => wTinyLfu(capacity),
  sluice: (capacity) => sluice(capacity),
}

/** What an entry is worth: how often it is asked for alone, by the room it takes, by the time it saves. The last is the store's. */
export const costly = {
  lru,
  'w-tinylfu': wTinyLfu,
  count: (capacity) => sluice(capacity),
  'count/size': (capacity) => sluice(capacity, ({ size }) => 1 / size),
  count·cost: (capacity) => sluice(capacity, ({ cost }) => cost),
  'count·cost/size': (capacity) => sluice(capacity, ({ cost, size }) => cost / size),
  'count·√(cost/size)': (capacity) =>
    sluice(capacity, ({ cost, size }) => Math.sqrt((Math.min(cost, 1_000) + 5) / size)),
}
