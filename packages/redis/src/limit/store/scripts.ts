import type { AlgorithmKind } from '@sluice/core'
import { type Script, script } from '../../connection/script.ts'
import { buckets } from '../algorithms/buckets.ts'
import { concurrent } from '../algorithms/concurrent.ts'
import { fixedWindow } from '../algorithms/fixed-window.ts'
import { tokenBucket } from '../algorithms/token-bucket.ts'
import { nameLength } from './keys.ts'

/** The algorithms by the letter they have in scripts and specs. Two of the five are one. */
const algorithms = { s: buckets, b: tokenBucket, f: fixedWindow, c: concurrent } as const

export type Letter = keyof typeof algorithms

export const letterOf: Readonly<Record<AlgorithmKind, Letter>> = Object.freeze({
  'sliding-window': 's',
  'sliding-log': 's',
  'token-bucket': 'b',
  'fixed-window': 'f',
  concurrent: 'c',
})

/**
 * What happens inside Redis. A key is one state: an array in MessagePack (`cmsgpack`, part of Redis and Valkey), which
 * keeps whole numbers whole up to 2^53. Every write sets an expiry: when the quota is full again, and a second for the
 * milliseconds in which clocks are read.
 *
 * ARGV[1] is the time, empty for the server's own. A *spec* is a JSON array `[letter, shadow, ...parameters]`. An answer
 * about a key is four numbers: how long to wait (-1: for ever), what remains, when there is more, what was taken beyond
 * the cost.
 */
const prelude = `
local A = {}
local slack = 1000
local now = tonumber(ARGV[1])
if now then
  -- A test's time: what it writes must not expire by the server's.
  slack = 3600000
else
  local t = redis.call('TIME')
  now = t[1] * 1000 + math.floor(t[2] / 1000)
end
local function store(key, s, full)
  redis.call('SET', key, cmsgpack.pack(s), 'PX', math.max(0, full) + slack)
end
`

/**
 * Decides about several requests, one after the other, each all or nothing. KEYS: one per charge. ARGV: time, `c` to
 * charge or `p` to look, the specs as a JSON array, and the requests as another, flat: for each how many charges it has,
 * and for each charge the number of its spec, its cost, and one more: the permit of a concurrency; else how many units to
 * take beyond the cost, where there are so many.
 */
const consume = `
local specs, list = cjson.decode(ARGV[3]), cjson.decode(ARGV[4])
local charging = ARGV[2] == 'c'
local reply, answered, at, key = { now }, 1, 1, 0
-- Each key is read and written once, however many of the requests charge it.
local held, byKey, changed = redis.call('MGET', unpack(KEYS)), {}, {}
while at <= #list do
  local n = list[at]
  local states, waits, all = {}, {}, charging
  for i = 1, n do
    local p = specs[list[at + 3 * i - 2]]
    local a, name = A[p[1]], KEYS[key + i]
    local s = byKey[name]
    if not s then
      s = held[key + i] and cmsgpack.unpack(held[key + i]) or a.fresh()
      byKey[name] = s
    end
    local wait = a.wait(s, p, list[at + 3 * i - 1], now)
    if wait ~= 0 and p[2] == 0 then all = false end
    states[i], waits[i] = s, wait
  end
  for i = 1, n do
    local s, p, cost, more = states[i], specs[list[at + 3 * i - 2]], list[at + 3 * i - 1], list[at + 3 * i]
    local a, extra = A[p[1]], 0
    local charged = all and waits[i] == 0 and cost > 0
    if charged then a.charge(s, p, cost, now, more) end
    local remaining, reset, full = a.left(s, p, now)
    if charged then
      if p[1] ~= 'c' and more > 0 and remaining > 0 then
        extra = math.min(more, remaining)
        a.charge(s, p, extra, now)
        remaining, reset, full = a.left(s, p, now)
      end
      changed[KEYS[key + i]] = full
    end
    reply[answered + 1], reply[answered + 2], reply[answered + 3], reply[answered + 4] = waits[i], remaining, reset, extra
    answered = answered + 4
  end
  at = at + 3 * n + 1
  key = key + n
end
for name, full in pairs(changed) do store(name, byKey[name], full) end
return reply
`

/**
 * ARGV per key: spec, units, when they were taken (empty: the newest), permit; at the end a channel. Answers what there is
 * then, and publishes the names of the keys that had nothing left: others may be refusing them without asking. (Where an
 * ACL forbids it nobody relies on it: those who listen try it out by publishing.)
 */
const giveBack = `
local reply, released = { now }, {}
for i = 1, #KEYS do
  local p = cjson.decode(ARGV[4 * i - 2])
  local a, held = A[p[1]], redis.call('GET', KEYS[i])
  local s = held and cmsgpack.unpack(held) or a.fresh()
  local full
  if held then
    if p[1] ~= 'c' and a.wait(s, p, 1, now) ~= 0 then released[#released + 1] = string.sub(KEYS[i], -${nameLength}) end
    a.refund(s, p, tonumber(ARGV[4 * i - 1]), now, tonumber(ARGV[4 * i]), ARGV[4 * i + 1])
  end
  local n = #reply
  reply[n + 1], reply[n + 2], reply[n + 3], full = 0, a.left(s, p, now)
  reply[n + 4] = 0
  if held then store(KEYS[i], s, full) end
end
if #released > 0 then redis.pcall('PUBLISH', ARGV[#ARGV], table.concat(released)) end
return reply
`

/** ARGV per key: spec, and its permits as a JSON array. */
const renew = `
for i = 1, #KEYS do
  local held = redis.call('GET', KEYS[i])
  if held then
    local s, p = cmsgpack.unpack(held), cjson.decode(ARGV[2 * i])
    for _, permit in ipairs(cjson.decode(ARGV[2 * i + 1])) do A.c.renew(s, p, now, permit) end
    local _, _, full = A.c.left(s, p, now)
    store(KEYS[i], s, full)
  end
end
`

const bodies = { consume, giveBack, renew } as const

/** The scripts with just the algorithms they need: Lua would define the others anew at every call, for nothing. */
export class LimitScripts {
  readonly #made = new Map<string, Script>()

  /** @param letters - of the algorithms needed; may repeat */
  get(body: keyof typeof bodies, letters: readonly Letter[]): Script {
    const needed = letters.length === 1 ? letters[0]! : [...new Set(letters)].sort().join('')
    const name = body + needed
    let made = this.#made.get(name)
    if (!made) {
      made = script(prelude, ...([...needed] as Letter[]).map((letter) => algorithms[letter]), bodies[body])
      this.#made.set(name, made)
    }
    return made
  }
}

/** KEYS: what to forget. ARGV: the channel on which to say so, whatever was there. */
export const forget = script(`
local released = {}
for i = 1, #KEYS do released[i] = string.sub(KEYS[i], -${nameLength}) end
redis.pcall('PUBLISH', ARGV[1], table.concat(released))
return redis.call('DEL', unpack(KEYS))
`)
