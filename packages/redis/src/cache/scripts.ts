import { script } from '../script.ts'

/**
 * What happens inside Redis. Every script works on one lane, whose keys share a slot:
 *
 *     clock   hash: `e` epoch, `n` how many invalidations there were, `f` floor; and the version of each tag that was
 *             invalidated, under 8 bytes of its hash: `purged:expired:expiredMs`
 *     entry   hash: `s` spec, `q` how often it was written; per variant `m…` meta, `f…` frame, `o…` order
 *     lease   string: the owner's token, or `!` where fills go side by side
 *
 * Versions and clock are one key on purpose. Redis evicts whole keys: what is lost is lost together, the lane begins a
 * new epoch, and no entry of an older one is believed. A version that is missing while the clock is there can only mean
 * that the tag was never invalidated since the floor.
 *
 * The meta of a variant is `epoch:position:storedMs:staleAfterMs:deleteAfterMs:` and the tags' hashes, 8 bytes each.
 */

/** KEYS[1] clock. ARGV 1–4: the epoch and position this process has seen, an epoch for a new beginning, the time. */
const prelude = `
local keepMs = 604800000
local function begin()
  redis.call('DEL', KEYS[1])
  redis.call('HSET', KEYS[1], 'e', ARGV[3], 'n', 0, 'f', 0)
  redis.call('PEXPIRE', KEYS[1], keepMs)
  return ARGV[3], 0, 0
end
local function lane()
  local c = redis.call('HMGET', KEYS[1], 'e', 'n', 'f')
  local n = tonumber(c[2])
  -- Gone, or behind what was seen of it: a failover or a restart has lost invalidations.
  if not n or (c[1] == ARGV[1] and n < tonumber(ARGV[2])) then return begin() end
  return c[1], n, tonumber(c[3])
end
local function timeMs()
  if ARGV[4] ~= '' then return tonumber(ARGV[4]) end
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end
local function keep(key, ms)
  if redis.call('PTTL', key) < ms then redis.call('PEXPIRE', key, ms) end
end
local function integer(n) return string.format('%.0f', n) end
-- The last purge and expiry of any of these tags, and when that expiry was.
local function versions(tags)
  local purged, expired, expiredMs = 0, 0, 0
  for from = 1, #tags, 4000 do
    local fields = {}
    for i = from, math.min(from + 3999, #tags), 8 do fields[#fields + 1] = string.sub(tags, i, i + 7) end
    for _, v in ipairs(redis.call('HMGET', KEYS[1], unpack(fields))) do
      if v then
        local p, x, ms = string.match(v, '^(%d+):(%d+):(%d+)$')
        purged = math.max(purged, tonumber(p))
        expired = math.max(expired, tonumber(x))
        expiredMs = math.max(expiredMs, tonumber(ms))
      end
    end
  end
  return purged, expired, expiredMs
end
`

/**
 * Looks up, and on a vacancy says where a fill stands and takes its lease.
 *
 * KEYS 2 entry, 3 lease of the key, 4 lease of the variant. ARGV 5 the spec the caller believes in, 6 the variant under
 * it, 7 token of the lease (empty: none is wanted), 8 its length in ms.
 *
 * Answers `R`, a record: age, age of its expiry (−1: none), spec, frame, the lease where it is stale. `V`, a vacancy: key or vary, lease, spec. `S`:
 * another spec than the caller believed; ask again.
 */
export const lookUp = script(
  prelude,
  `
local e, n, f = lane()
-- All of it at once, in the hope that the caller was right about the spec.
local spec, meta, frame = unpack(redis.call('HMGET', KEYS[2], 's', 'm' .. ARGV[6], 'f' .. ARGV[6]))
if spec and spec ~= ARGV[5] then
  if spec ~= '' then return { 'S', e, n, spec } end
  meta, frame = unpack(redis.call('HMGET', KEYS[2], 'm0', 'f0'))
end
local plain = not spec or spec == ''
local function lease()
  if ARGV[7] == '' then return '' end
  local key = plain and KEYS[3] or KEYS[4]
  local held = redis.call('GET', key)
  if held then return held == '!' and 'open' or 'held' end
  -- Where nothing can be written (no memory, a replica), looking up goes on without leases.
  local set = redis.pcall('SET', key, ARGV[7], 'PX', ARGV[8])
  return set.err and '' or 'taken'
end
if spec and meta then
  local me, mn, stored, stale, ends, at = string.match(meta, '^([^:]*):(%d+):(%d+):(%d+):(%d+):()')
  mn, stored, stale, ends = tonumber(mn), tonumber(stored), tonumber(stale), tonumber(ends)
  if me == e and mn >= f and mn <= n then
    local now, expiredAge, purged, expired, expiredMs = timeMs(), -1, 0, 0, 0
    if mn < n then purged, expired, expiredMs = versions(string.sub(meta, at)) end
    if expired > mn then
      expiredAge = math.max(now - expiredMs, 0)
      local from = math.max(expiredMs - stored, 0)
      if from < stale then stale, ends = from, from + ends - stale end
    end
    local age = math.max(now - stored, 0)
    if purged <= mn and age < ends then
      return { 'R', e, n, age, expiredAge, spec, frame, age >= stale and lease() or '' }
    end
  end
end
return { 'V', e, n, plain and 'key' or 'vary', lease(), spec or '' }
`,
)

/** Where a fill that starts now stands. KEYS 2 entry. Answers `P`: spec. */
export const position = script(
  prelude,
  `
local e, n = lane()
return { 'P', e, n, redis.call('HGET', KEYS[2], 's') or '' }
`,
)

/**
 * Stores a record, if nothing that concerns it was invalidated since its fill began.
 *
 * KEYS 2 entry, 3 lease. ARGV 5 epoch and 6 position of the fill, 7 the spec the caller believes in, 8 the spec from now
 * on, 9 variant under it, 10 tags, 11 stale after ms, 12 deleted after ms, 13 most variants, 14 token of the lease,
 * 15 frame.
 *
 * Answers `K` stored, `F` fenced, or `S` and the spec when that is another.
 */
export const store = script(
  prelude,
  `
local e, n, f = lane()
local at = tonumber(ARGV[6])
if e ~= ARGV[5] or at < f or at > n then return { 'F', e, n } end
if at < n then
  local purged, expired = versions(ARGV[10])
  if purged > at or expired > at then return { 'F', e, n } end
end
local spec = redis.call('HGET', KEYS[2], 's') or ''
if spec ~= ARGV[7] then return { 'S', e, n, spec } end
if spec ~= ARGV[8] then redis.call('DEL', KEYS[2]) end
local variant, ends = ARGV[9], tonumber(ARGV[12])
local meta = e .. ':' .. integer(n) .. ':' .. integer(timeMs()) .. ':' .. ARGV[11] .. ':' .. ARGV[12] .. ':' .. ARGV[10]
local order = redis.call('HINCRBY', KEYS[2], 'q', 1)
redis.call('HSET', KEYS[2], 's', ARGV[8], 'm' .. variant, meta, 'o' .. variant, order, 'f' .. variant, ARGV[15])
while (redis.call('HLEN', KEYS[2]) - 2) / 3 > tonumber(ARGV[13]) do
  local names, oldest, first = {}, nil, nil
  for _, name in ipairs(redis.call('HKEYS', KEYS[2])) do
    if string.sub(name, 1, 1) == 'o' then names[#names + 1] = name end
  end
  for i, value in ipairs(redis.call('HMGET', KEYS[2], unpack(names))) do
    if not first or tonumber(value) < first then oldest, first = string.sub(names[i], 2), tonumber(value) end
  end
  redis.call('HDEL', KEYS[2], 'm' .. oldest, 'o' .. oldest, 'f' .. oldest)
end
-- A little longer than anybody wants it: what decides is the time in the meta.
keep(KEYS[2], ends + 5000)
keep(KEYS[1], math.max(ends + 86400000, keepMs))
if ARGV[14] ~= '' and redis.call('GET', KEYS[3]) == ARGV[14] then
  -- What is stale from the start helps nobody who waits: they go to the handler side by side, not one after the other.
  if ARGV[11] == '0' then redis.call('SET', KEYS[3], '!', 'PX', 2000) else redis.call('DEL', KEYS[3]) end
end
return { 'K', e, n }
`,
)

/**
 * Invalidates in this lane, and tells everybody who listens.
 *
 * ARGV 5 `purge`, `expire` or `forget` (everything is purged, and the versions with it), 6 most tags remembered,
 * 7 channel, 8 the lane, 9 what to tell, then the tags.
 */
export const invalidate = script(
  prelude,
  `
local e, n = lane()
n = n + 1
local function forget()
  redis.call('DEL', KEYS[1])
  redis.call('HSET', KEYS[1], 'e', e, 'n', n, 'f', n)
end
if ARGV[5] == 'forget' then
  forget()
else
  redis.call('HSET', KEYS[1], 'n', n)
  local now = integer(timeMs())
  for i = 10, #ARGV do
    local p, x, ms = string.match(redis.call('HGET', KEYS[1], ARGV[i]) or '0:0:0', '^(%d+):(%d+):(%d+)$')
    if ARGV[5] == 'purge' then p = integer(n) else x, ms = integer(n), now end
    redis.call('HSET', KEYS[1], ARGV[i], p .. ':' .. x .. ':' .. ms)
  end
  -- Forgotten versions must read as invalidated: the floor rises above every entry there is.
  if redis.call('HLEN', KEYS[1]) > tonumber(ARGV[6]) + 3 then forget() end
end
keep(KEYS[1], keepMs)
redis.call('PUBLISH', ARGV[7], ARGV[8] .. ' ' .. e .. ' ' .. integer(n) .. ' ' .. ARGV[9])
return { 'K', e, n }
`,
)

/** Where the lane stands. Answers `P`. */
export const readClock = script(prelude, `local e, n = lane()\nreturn { 'P', e, n, '' }`)

/** Writes, and changes nothing: replicas that have this have everything before it. */
export const touch = script(prelude, `local e, n = lane()\nreturn redis.call('HSET', KEYS[1], 'n', n)`)

/** KEYS 1 lease. ARGV 1 token, 2 how long others need not wait for the next fill (0: they may try). */
export const release = script(`
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[2] == '0' then redis.call('DEL', KEYS[1]) else redis.call('SET', KEYS[1], '!', 'PX', ARGV[2]) end
return 1
`)

/** KEYS 1 lease. ARGV 1 token, 2 how long it lasts from now. Answers 0 where it is somebody else's by now. */
export const renew = script(`
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
`)

/** KEYS 1 entry. */
export const remove = script(`return redis.call('UNLINK', KEYS[1])`)
