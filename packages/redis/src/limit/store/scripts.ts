import type { StateKind } from '@sluice/core'
import { type Script, script } from '../../connection/script.ts'
import { ban } from '../algorithms/ban.ts'
import { buckets } from '../algorithms/buckets.ts'
import { calendarWindow } from '../algorithms/calendar-window.ts'
import { concurrent } from '../algorithms/concurrent.ts'
import { fixedWindow } from '../algorithms/fixed-window.ts'
import { tokenBucket } from '../algorithms/token-bucket.ts'
import { used } from '../algorithms/used.ts'
import { nameLength } from './keys.ts'

/** The algorithms by the letter they have in scripts and specs. Two of the six are one, and the ban counts by it. */
const algorithms = { s: buckets, b: tokenBucket, f: fixedWindow, k: calendarWindow, c: concurrent, x: ban } as const

export type Letter = keyof typeof algorithms

export const letterOf: Readonly<Record<StateKind, Letter>> = Object.freeze({
  'sliding-window': 's',
  'sliding-log': 's',
  'token-bucket': 'b',
  'fixed-window': 'f',
  'calendar-window': 'k',
  concurrent: 'c',
  ban: 'x',
})

/**
 * What happens inside Redis. What is kept of a key is the spec it was counted by last, a space, and its state: an array in
 * MessagePack (`cmsgpack`, part of Redis and Valkey), which keeps whole numbers whole up to 2^53. Where the rate was changed
 * since, what was used is carried over to the new one. Every write sets an expiry: when the quota is full again, and a second
 * for the milliseconds in which clocks are read.
 *
 * ARGV[1] is the time, empty for the server's own. A *spec* is a JSON array `[letter, shadow, ...parameters]`; behind that of a
 * calendar, and a space, are the periods it may be about, which are not kept. Where time is in none of them nothing is written,
 * and the answer is two numbers: the time, and the one that is missing. An answer about a key is four numbers: how long to wait (-1:
 * for ever), what remains, when there is more, what was taken beyond the cost; of a ban in its place how often there was one by
 * now, below 0 where it has not just begun.
 */
const prelude = `
local A = {}
${used}
local slack = 1000
local now = tonumber(ARGV[1])
if now then
  -- A test's time: what it writes must not expire by the server's.
  slack = 3600000
else
  local t = redis.call('TIME')
  now = t[1] * 1000 + math.floor(t[2] / 1000)
end
-- The time there is no period for.
local outside
-- What is kept of a spec, and the spec.
local function specOf(argument) return argument, cjson.decode(argument) end
-- What is held of a key: its state, the spec it is counted by, and that spec as text. Of a new key by this one.
local function open(held, text, p)
  if not held then return { s = A[p[1]].fresh(), text = text, p = p } end
  local n = #text
  if string.sub(held, 1, n) == text and string.sub(held, n + 1, n + 1) == ' ' then
    return { s = cmsgpack.unpack(string.sub(held, n + 2)), text = text, p = p }
  end
  n = string.find(held, ' ', 1, true)
  local by = string.sub(held, 1, n - 1)
  return { s = cmsgpack.unpack(string.sub(held, n + 1)), text = by, p = cjson.decode(by) }
end
-- Its state as this spec counts it.
local function stateOf(e, text, p)
  if e.text == text then return e.s end
  local a = A[p[1]]
  if e.p[1] == p[1] then return a.carry(e.s, p, e.p, now) end
  local s = a.fresh()
  a.charge(s, p, used(e.s, e.p, now), now)
  return s
end
local function store(key, e, full)
  redis.call('SET', key, e.text .. ' ' .. cmsgpack.pack(e.s), 'PX', math.max(0, full) + slack)
end
`

/**
 * Decides about several requests, one after the other, each all or nothing. KEYS: one per charge. ARGV: time, `c` to
 * charge or `p` to look, the requests as a JSON array, flat: for each how many charges it has, and for each charge the number
 * of its spec, its cost, and one more: the permit of a concurrency; of a ban how many charges before it are of its policy; else
 * how many units to take beyond the cost, where there are so many. Then the specs.
 *
 * @param told - what tells bans of refusals, in scripts that have bans
 * @param begun - the fourth number of a ban's answer
 */
const consumeWith = (told: string, begun: string): string => `
local list, texts, specs = cjson.decode(ARGV[3]), {}, {}
for i = 4, #ARGV do texts[i - 3], specs[i - 3] = specOf(ARGV[i]) end
local charging = ARGV[2] == 'c'
local reply, answered, at, key = { now }, 1, 1, 0
-- Each key is read and written once, however many of the requests charge it.
local held, byKey, changed = redis.call('MGET', unpack(KEYS)), {}, {}
while at <= #list do
  local n = list[at]
  local states, waits, all = {}, {}, charging
  for i = 1, n do
    local spec = list[at + 3 * i - 2]
    local p, name = specs[spec], KEYS[key + i]
    local e = byKey[name]
    if not e then
      e = open(held[key + i], texts[spec], p)
      byKey[name] = e
    end
    local s = stateOf(e, texts[spec], p)
    local wait = A[p[1]].wait(s, p, list[at + 3 * i - 1], now)
    if wait ~= 0 and p[2] == 0 then all = false end
    states[i], waits[i] = s, wait
  end
${told}  for i = 1, n do
    local spec, cost, more = list[at + 3 * i - 2], list[at + 3 * i - 1], list[at + 3 * i]
    local s, p = states[i], specs[spec]
    local a, extra = A[p[1]], 0
${begun}    local charged = all and waits[i] == 0 and cost > 0
    if charged then a.charge(s, p, cost, now, more) end
    local remaining, reset, full = a.left(s, p, now)
    if charged then
      if p[1] ~= 'c' and more > 0 and remaining > 0 then
        extra = math.min(more, remaining)
        a.charge(s, p, extra, now)
        remaining, reset, full = a.left(s, p, now)
      end
      local name = KEYS[key + i]
      byKey[name] = { s = s, text = texts[spec], p = p }
      changed[name] = full
    end
    reply[answered + 1], reply[answered + 2], reply[answered + 3], reply[answered + 4] = waits[i], remaining, reset, extra
    answered = answered + 4
  end
  at = at + 3 * n + 1
  key = key + n
end
if outside then return { now, outside } end
for name, full in pairs(changed) do store(name, byKey[name], full) end
return reply
`

/** As in core's `bansToTell`, which says why. */
const tellBans = `
  local barred, before = false, {}
  for i = 1, n do
    local p = specs[list[at + 3 * i - 2]]
    if p[1] == 'x' and p[2] == 0 and waits[i] ~= 0 then barred = true end
    before[i] = waits[i]
  end
  for i = 1, charging and n or 0 do
    local spec = list[at + 3 * i - 2]
    local p, s = specs[spec], states[i]
    if p[1] == 'x' then
      local refuses = before[i] ~= 0
      if not refuses and not barred then
        for j = i - list[at + 3 * i], i - 1 do refuses = refuses or before[j] ~= 0 end
      end
      if refuses and A.x.refused(s, p, now) then
        local _, _, full = A.x.left(s, p, now)
        byKey[KEYS[key + i]], changed[KEYS[key + i]] = { s = s, text = texts[spec], p = p }, full
        waits[i] = A.x.wait(s, p, 0, now)
      end
    end
  end
`

const banBegun = `    if p[1] == 'x' and waits[i] ~= 0 then extra = before[i] == 0 and s[3] or -s[3] end
`

/**
 * ARGV per key: spec, units, when they were taken (empty: the newest), permit, and of a token bucket how much was missing then;
 * at the end a channel. Answers what there is
 * then, and publishes the names of the keys that had nothing left: others may be refusing them without asking. (Where an
 * ACL forbids it nobody relies on it: those who listen try it out by publishing.)
 */
const giveBack = `
local reply, released = { now }, {}
for i = 1, #KEYS do
  local text, p = specOf(ARGV[5 * i - 3])
  local held = redis.call('GET', KEYS[i])
  outside = nil
  local a, e = A[p[1]], open(held, text, p)
  -- What was changed to another way of counting since is given back in that of the charge.
  if e.p[1] ~= p[1] then e = { s = stateOf(e, text, p), text = text, p = p } end
  if held then
    if p[1] ~= 'c' and a.wait(e.s, e.p, 1, now) ~= 0 then
      released[#released + 1] = string.sub(KEYS[i], -${nameLength})
    end
    a.refund(e.s, e.p, tonumber(ARGV[5 * i - 2]), now, tonumber(ARGV[5 * i - 1]), ARGV[5 * i], tonumber(ARGV[5 * i + 1]))
    local _, _, full = a.left(e.s, e.p, now)
    -- Units that cannot be told to be of this period stay charged.
    if not outside then store(KEYS[i], e, full) end
  end
  local n = #reply
  reply[n + 1], reply[n + 2], reply[n + 3] = 0, a.left(stateOf(e, text, p), p, now)
  reply[n + 4] = 0
end
if #released > 0 then redis.pcall('PUBLISH', ARGV[#ARGV], table.concat(released)) end
return reply
`

/** ARGV per key: spec, and its permits as a JSON array. */
const renew = `
for i = 1, #KEYS do
  local held = redis.call('GET', KEYS[i])
  if held then
    local p = cjson.decode(ARGV[2 * i])
    local e = open(held, ARGV[2 * i], p)
    for _, permit in ipairs(cjson.decode(ARGV[2 * i + 1])) do A.c.renew(e.s, p, now, permit) end
    local _, _, full = A.c.left(e.s, p, now)
    store(KEYS[i], e, full)
  end
end
`

/** KEYS: of a ban. ARGV: time, spec, how long, why, channel. Others may be refusing it for as long as it would have lasted. */
const shutOut = `
local p, held = cjson.decode(ARGV[2]), redis.call('GET', KEYS[1])
local s = stateOf(open(held, ARGV[2], p), ARGV[2], p)
A.x.shut(s, p, now, tonumber(ARGV[3]), ARGV[4])
local _, _, full = A.x.left(s, p, now)
store(KEYS[1], { s = s, text = ARGV[2], p = p }, full)
redis.pcall('PUBLISH', ARGV[5], string.sub(KEYS[1], -${nameLength}))
return s[3]
`

/** KEYS: of a ban. ARGV: time, spec, channel. Whether it held. */
const letIn = `
local p, held = cjson.decode(ARGV[2]), redis.call('GET', KEYS[1])
if not held then return 0 end
local wait = A.x.wait(open(held, ARGV[2], p).s, p, 0, now)
redis.call('DEL', KEYS[1])
redis.pcall('PUBLISH', ARGV[3], string.sub(KEYS[1], -${nameLength}))
return wait > 0 and 1 or 0
`

/** KEYS: of bans. ARGV: time. For each that holds: which it is, how long, how often, whether by hand, and why. */
const listBans = `
local reply, n = {}, 0
for i, held in ipairs(redis.call('MGET', unpack(KEYS))) do
  if held then
    local s = open(held, '', {}).s
    local wait = A.x.wait(s, nil, 0, now)
    if wait > 0 then
      reply[n + 1], reply[n + 2], reply[n + 3], reply[n + 4], reply[n + 5] = i, wait, s[3], s[5], s[6]
      n = n + 5
    end
  end
end
return reply
`

const bodies = {
  consume: consumeWith('', ''),
  consumeBans: consumeWith(tellBans, banBegun),
  giveBack,
  renew,
  shutOut,
  letIn,
  listBans,
} as const

/** The scripts with just the algorithms they need: Lua would define the others anew at every call, for nothing. */
export class LimitScripts {
  readonly #made = new Map<string, Script>()

  /** @param letters - of the algorithms needed; may repeat */
  get(body: Exclude<keyof typeof bodies, 'consumeBans'>, letters: readonly Letter[]): Script {
    const needed = letters.length === 1 && letters[0] !== 'x' ? letters[0]! : lettersOf(letters)
    const name = body + needed
    let made = this.#made.get(name)
    if (!made) {
      const text = bodies[body === 'consume' && needed.endsWith('x') ? 'consumeBans' : body]
      made = script(prelude, ...([...needed] as Letter[]).map((letter) => algorithms[letter]), text)
      this.#made.set(name, made)
    }
    return made
  }
}

/** Each once, in order. A ban counts by buckets. */
function lettersOf(letters: readonly Letter[]): string {
  return [...new Set(letters.includes('x') ? [...letters, 's'] : letters)].sort().join('')
}

/** KEYS: what to forget. ARGV: the channel on which to say so, whatever was there. */
export const forget = script(`
local released = {}
for i = 1, #KEYS do released[i] = string.sub(KEYS[i], -${nameLength}) end
redis.pcall('PUBLISH', ARGV[1], table.concat(released))
return redis.call('DEL', unpack(KEYS))
`)
