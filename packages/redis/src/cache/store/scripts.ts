import { script } from '../../connection/script.ts'
import { runLength, unknownRun } from './server-run.ts'

/**
 * What happens inside Redis. Every script works on one lane, whose keys share a slot:
 *
 *     clock   hash: `e` epoch, `n` how many invalidations there were, `f` floor; and of each tag that was invalidated,
 *             under 8 bytes of its hash, when it last was: purged, expired (both counted in `n`), expired (ms); `m` the
 *             processes that answer from memory, one behind the other, and `b` since when all of them are there (ms)
 *     entry   hash: `s` spec, `q` how often it was written; per variant `m…` meta, `o…` order
 *     frame   string, per variant: a stamp that nothing else has, and the frame
 *     lease   string, per variant: the owner's token, or `!` where fills go side by side
 *
 * Look-ups judge the meta in a script and read the frame without one, in the same round trip: a string of 10 kB that goes
 * through Lua costs Redis ten times what it costs to send. The stamp, which is in the meta too, tells that they belong
 * together.
 *
 * Versions and clock are one key on purpose. Redis evicts whole keys: what is lost is lost together, the lane begins a
 * new epoch, and no entry of an older one is believed. A version that is missing while the clock is there can only mean
 * that the tag was never invalidated since the floor.
 *
 * The meta of a variant is its position, when it was stored (ms), after how long it is stale and deleted (ms), its
 * stamp, how long its frame is (bytes), its epoch, and the tags' hashes, 8 bytes each. Numbers are packed as doubles: whole ones are exact up to
 * 2^53, and nothing is parsed.
 *
 * Every answer begins with the epoch and the position of the lane.
 */

/** KEYS[1] clock. ARGV 1–4: the epoch and position this process has seen, an epoch for a new beginning, the time. */
export const prelude = `
local keepMs = 604800000
local meta, version = '>ddddc16I4Bc0', '>ddd'
local function serverMs()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end
local function begin()
  redis.call('UNLINK', KEYS[1])
  redis.call('HSET', KEYS[1], 'e', ARGV[3], 'n', 0, 'f', 0, 'b', serverMs())
  redis.call('PEXPIRE', KEYS[1], keepMs)
  return ARGV[3], 0, 0
end
local function lane()
  local c = redis.call('HMGET', KEYS[1], 'e', 'n', 'f')
  local n = tonumber(c[2])
  -- Gone, or behind what was seen of it: a failover or a restart has lost invalidations.
  if not n or (c[1] == ARGV[1] and n < tonumber(ARGV[2])) then return begin() end
  -- Begun by another run of this server, or by another server, which may have been told more than this one has.
  local run = string.sub(ARGV[3], 1, ${runLength})
  if run ~= '${unknownRun}' and string.sub(c[1], 1, ${runLength}) ~= run then return begin() end
  return c[1], n, tonumber(c[3])
end
local function timeMs()
  return tonumber(ARGV[4]) or serverMs()
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
        local p, x, ms = struct.unpack(version, v)
        if p > purged then purged = p end
        if x > expired then expired = x end
        if ms > expiredMs then expiredMs = ms end
      end
    end
  end
  return purged, expired, expiredMs
end
`

/**
 * Names of what belongs together, which are in one slot: `…id:e`, and of each variant `…id:variant:l` and `…:f`. What a
 * caller cannot name beforehand is named by these.
 */
const names = `
local function frameOf(lease) return string.sub(lease, 1, -2) .. 'f' end
local function variantsOf(entry)
  local found = {}
  for _, name in ipairs(redis.call('HKEYS', entry)) do
    if string.sub(name, 1, 1) == 'o' then found[#found + 1] = string.sub(name, 2) end
  end
  return found
end
local function dropFrame(entry, variant)
  redis.call('UNLINK', string.sub(entry, 1, -2) .. variant .. ':f')
end
local function dropAll(entry)
  for _, variant in ipairs(variantsOf(entry)) do dropFrame(entry, variant) end
  redis.call('UNLINK', entry)
end
`

/** Where the lane stands, and whether what a meta stands for may be given out. */
const judging = `
local e, n, f = lane()
local now
-- Age, age of the expiry, stamp, whether it is stale, the size of the frame; nil where it may not be given out.
local function judge(m)
  local ok, mn, stored, stale, ends, stamp, size, me, at = pcall(struct.unpack, meta, m)
  if not ok or me ~= e or mn < f or mn > n then return nil end
  now = now or timeMs()
  local age, expiredAge = now - stored, -1
  if mn < n then
    local purged, expired, expiredMs = versions(string.sub(m, at))
    if purged > mn then return nil end
    if expired > mn then
      expiredAge = math.max(now - expiredMs, 0)
      local from = math.max(expiredMs - stored, 0)
      if from < stale then stale, ends = from, from + ends - stale end
    end
  end
  if age < 0 then age = 0 end
  if age >= ends then return nil end
  return age, expiredAge, stamp, age >= stale, size
end
`

/** Whether a key has no room for this variant: what may not be given out any more makes some. */
const room = `
local function isFull(entry, variant, most)
  if redis.call('HEXISTS', entry, 'm' .. variant) == 1 then return false end
  local held = variantsOf(entry)
  if #held < most then return false end
  local full = true
  for _, one in ipairs(held) do
    if not judge(redis.call('HGET', entry, 'm' .. one)) then
      redis.call('HDEL', entry, 'm' .. one, 'o' .. one)
      dropFrame(entry, one)
      full = false
    end
  end
  return full
end
`

/** How long a stamp is. Bytes. */
export const stampBytes = 16

/** What a look-up came to. */
export const outcome = { record: 0, plainRecord: 1, keyVacant: 2, variantVacant: 3, otherSpec: 4 } as const

/** The state of a lease by its number in judgements. */
export const leaseStates = [undefined, 'taken', 'held', 'open'] as const

/** Where in a judgement what is: outcome, lease, age, age of the expiry, stamp, the size of the frame. */
export const judgement = {
  outcome: 0,
  lease: 1,
  age: 2,
  expiredAge: 10,
  stamp: 18,
  size: 18 + stampBytes,
  bytes: 22 + stampBytes,
} as const

/**
 * Judges any number of entries, and for each vacancy says where a fill stands and takes its lease.
 *
 * ARGV 5 the length of leases in ms, 6 a token, to which each lease that is wanted adds its number, from 0 on; 7 a letter
 * for each: `p` where the caller believes that nothing varies, and for a variant `v`, as capitals where the lease is
 * wanted; then for each variant the spec the caller believes in, and its name under that. KEYS 2 and on for each: the
 * entry, the lease where nothing varies, and for a variant its lease.
 *
 * Answers the judgements, packed one behind the other, and then the specs of those that are no records, in their order.
 * A `plainRecord` was found where nothing varies, contrary to what the caller believed; on `otherSpec` it must ask again.
 */
export const lookUp = script(
  prelude,
  names,
  judging,
  `
local answer, judgements, key = { e, n, '' }, {}, 2
local function lease(name, token)
  local held = redis.call('GET', name)
  if held then return held == '!' and 3 or 2 end
  -- Where nothing can be written (no memory, a replica), looking up goes on without leases.
  return redis.pcall('SET', name, token, 'PX', ARGV[5]).err and 0 or 1
end
local letters, arg = ARGV[7], 8
for number = 0, #letters - 1 do
  local letter = string.byte(letters, number + 1)
  local wanted = letter < 97
  local believed, variant, entry, plain = '', '0', KEYS[key], KEYS[key + 1]
  local own = plain
  key = key + 2
  if letter == 118 or letter == 86 then
    believed, variant, own = ARGV[arg], ARGV[arg + 1], KEYS[key]
    key, arg = key + 1, arg + 2
  end
  -- All of it at once, in the hope that the caller was right about the spec.
  local held = redis.call('HMGET', entry, 's', 'm' .. variant)
  local spec, m, code = held[1], held[2], 0
  if not spec then
    code, own = 2, plain
  elseif spec ~= believed then
    code = 4
    if spec == '' then code, own, m = 1, plain, redis.call('HGET', entry, 'm0') end
  end
  local age, expiredAge, stamp, stale, size
  if m and code < 2 then age, expiredAge, stamp, stale, size = judge(m) end
  if not age then
    -- Nobody is ever given it again: it need not be sent either.
    if m and code < 2 then redis.pcall('UNLINK', frameOf(own)) end
    if code < 2 then code = spec == '' and 2 or 3 end
    answer[#answer + 1] = spec or ''
  end
  local taken = 0
  if wanted and code ~= 4 and (stale or not age) then taken = lease(own, ARGV[6] .. number) end
  judgements[number + 1] = struct.pack('>BBddc16I4', code, taken, age or 0, expiredAge or -1, stamp or '                ', size or 0)
end
answer[3] = table.concat(judgements)
return answer
`,
)

/** Where a fill that starts now stands. KEYS 2 entry. Answers the spec. */
export const position = script(
  prelude,
  `
local e, n = lane()
return { e, n, redis.call('HGET', KEYS[2], 's') or '' }
`,
)

/**
 * Stores a record, if nothing that concerns it was invalidated since its fill began.
 *
 * KEYS 2 entry, 3 frame, 4 lease. ARGV 5 epoch and 6 position of the fill, 7 the spec the caller believes in, 8 the spec
 * from now on, 9 variant under it, 10 tags, 11 stale after ms, 12 deleted after ms, 13 most variants, 14 token of the
 * lease, 15 the frame, with its stamp in front.
 *
 * Answers `K` stored, `F` fenced, `M` when there are as many variants already, or `S` and the spec when that is another.
 */
export const store = script(
  prelude,
  names,
  judging,
  room,
  `
local at = tonumber(ARGV[6])
if e ~= ARGV[5] or at < f or at > n then return { e, n, 'F' } end
if at < n then
  local purged, expired = versions(ARGV[10])
  if purged > at or expired > at then return { e, n, 'F' } end
end
local spec = redis.call('HGET', KEYS[2], 's') or ''
if spec ~= ARGV[7] then return { e, n, 'S', spec } end
local variant, ends = ARGV[9], tonumber(ARGV[12])
if spec ~= ARGV[8] then dropAll(KEYS[2])
elseif isFull(KEYS[2], variant, tonumber(ARGV[13])) then return { e, n, 'M' } end
local m = struct.pack(meta, n, timeMs(), tonumber(ARGV[11]), ends, string.sub(ARGV[15], 1, 16), #ARGV[15], #e, e) .. ARGV[10]
-- A little longer than anybody wants it: what decides is the time in the meta.
redis.call('SET', KEYS[3], ARGV[15], 'PX', ends + 5000)
local order = redis.call('HINCRBY', KEYS[2], 'q', 1)
redis.call('HSET', KEYS[2], 's', ARGV[8], 'm' .. variant, m, 'o' .. variant, order)
keep(KEYS[2], ends + 5000)
keep(KEYS[1], math.max(ends + 86400000, keepMs))
if ARGV[14] ~= '' and redis.call('GET', KEYS[4]) == ARGV[14] then
  -- What is stale from the start helps nobody who waits: they go to the handler side by side, not one after the other.
  if ARGV[11] == '0' then redis.call('SET', KEYS[4], '!', 'PX', 2000) else redis.call('DEL', KEYS[4]) end
end
return { e, n, 'K' }
`,
)

/**
 * Puts another frame of the same record in the place of the one that was read, if that is still the one there is and may
 * still be given out. What the meta says of the record stays: its position and its times, so no purge is undone and
 * nothing lives longer than it would have.
 *
 * KEYS 2 entry, 3 frame. ARGV 5 spec, 6 variant under it, 7 stamp of the frame that was read, 8 the frame,
 * with its stamp in front.
 *
 * Answers `K` kept, or `C` changed meanwhile.
 */
export const replaceFrame = script(
  prelude,
  judging,
  `
local held = redis.call('HMGET', KEYS[2], 's', 'm' .. ARGV[6])
local m = held[2]
if held[1] ~= ARGV[5] or not m or not judge(m) then return { e, n, 'C' } end
local mn, stored, stale, ends, stamp, _, me, at = struct.unpack(meta, m)
-- The frame may be gone alone.
if stamp ~= ARGV[7] or redis.call('GETRANGE', KEYS[3], 0, #stamp - 1) ~= stamp then return { e, n, 'C' } end
redis.call('SET', KEYS[3], ARGV[8], 'XX', 'KEEPTTL')
m = struct.pack(meta, mn, stored, stale, ends, string.sub(ARGV[8], 1, 16), #ARGV[8], #me, me) .. string.sub(m, at)
redis.call('HSET', KEYS[2], 'm' .. ARGV[6], m)
return { e, n, 'K' }
`,
)

/**
 * What is stored under a key and may be given out. KEYS 2 entry. ARGV 5 how many at the most.
 *
 * Answers the spec, and of each variant its name, age, age of its expiry (-1: none) and the size of its frame.
 */
export const variants = script(
  prelude,
  names,
  judging,
  `
local answer = { e, n, redis.call('HGET', KEYS[2], 's') or '' }
for i, variant in ipairs(variantsOf(KEYS[2])) do
  if i > tonumber(ARGV[5]) then break end
  local age, expiredAge, _, _, size = judge(redis.call('HGET', KEYS[2], 'm' .. variant) or '')
  if age then
    for _, value in ipairs({ variant, integer(age), integer(expiredAge), integer(size) }) do answer[#answer + 1] = value end
  end
end
return answer
`,
)

/** Where the lane stands. */
export const readClock = script(prelude, `local e, n = lane()\nreturn { e, n }`)

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
export const remove = script(names, `dropAll(KEYS[1])`)
