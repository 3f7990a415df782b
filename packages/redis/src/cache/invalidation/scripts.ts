import { script } from '../../connection/script.ts'
import { prelude } from '../store/scripts.ts'

/**
 * Invalidates in this lane, and tells everybody who listens.
 *
 * ARGV 5 `purge`, `expire` or `forget` (everything is purged, and the versions with it), 6 most tags remembered,
 * 7 channel, 8 the lane, 9 who tells it, 10 what to tell, then the tags, no more than Lua can unpack.
 *
 * Answers the processes that answer from memory, and for how long they have been known (ms): who was there before the lane
 * lost its memory is not among them.
 */
export const invalidate = script(
  prelude,
  `
local e, n = lane()
n = n + 1
local function forget()
  local members = redis.call('HMGET', KEYS[1], 'b', 'm')
  redis.call('UNLINK', KEYS[1])
  redis.call('HSET', KEYS[1], 'e', e, 'n', n, 'f', n, 'b', members[1], 'm', members[2] or '')
end
if ARGV[5] == 'forget' then
  forget()
else
  local tags, written = { unpack(ARGV, 11) }, {}
  local now, purging = timeMs(), ARGV[5] == 'purge'
  for i, known in ipairs(redis.call('HMGET', KEYS[1], unpack(tags))) do
    local p, x, ms = 0, 0, 0
    if known then p, x, ms = struct.unpack(version, known) end
    if purging then p = n else x, ms = n, now end
    written[2 * i - 1], written[2 * i] = tags[i], struct.pack(version, p, x, ms)
  end
  redis.call('HSET', KEYS[1], 'n', n, unpack(written))
  -- Forgotten versions must read as invalidated: the floor rises above every entry there is.
  if redis.call('HLEN', KEYS[1]) > tonumber(ARGV[6]) + 5 then forget() end
end
keep(KEYS[1], keepMs)
redis.call('PUBLISH', ARGV[7], ARGV[8] .. ' ' .. e .. ' ' .. integer(n) .. ' ' .. ARGV[9] .. ' ' .. ARGV[10])
local members = redis.call('HMGET', KEYS[1], 'b', 'm')
return { e, n, members[2] or '', math.max(0, serverMs() - tonumber(members[1])) }
`,
)

/** How a process that answers from memory stands in `m`: its name, how far it has heard, its lease (ms), a count. */
export const member = { name: 0, heard: 12, leaseMs: 20, bytes: 28 } as const

/** Of more processes than these nobody knows which still run: those that do come again. */
const mostMembers = 1_000

/**
 * Says that a process answers from memory, and up to where it has heard what was invalidated.
 *
 * ARGV 5 its name, 6 the epoch it has heard of and 7 how far, 8 how long its lease is (ms), 9 a count.
 */
export const hold = script(
  prelude,
  `
local e, n = lane()
local heard = ARGV[6] == e and ARGV[7] or -1
local own = struct.pack('>c12dI4I4', ARGV[5], heard, ARGV[8], ARGV[9])
local all, at = redis.call('HGET', KEYS[1], 'm') or '', 1
while at <= #all and string.sub(all, at, at + 11) ~= ARGV[5] do at = at + ${member.bytes} end
if at > ${mostMembers} * ${member.bytes} then
  all, at = '', 1
  redis.call('HSET', KEYS[1], 'b', serverMs())
end
redis.call('HSET', KEYS[1], 'm', string.sub(all, 1, at - 1) .. own .. string.sub(all, at + ${member.bytes}))
keep(KEYS[1], keepMs)
return { e, n }
`,
)

/** Takes a process from those that answer from memory. ARGV 5 its name, or all of what stands there of it. */
export const leave = script(
  prelude,
  `
local e, n = lane()
local all = redis.call('HGET', KEYS[1], 'm') or ''
for at = 1, #all, ${member.bytes} do
  if string.sub(all, at, at + #ARGV[5] - 1) == ARGV[5] then
    redis.call('HSET', KEYS[1], 'm', string.sub(all, 1, at - 1) .. string.sub(all, at + ${member.bytes}))
    break
  end
end
return { e, n }
`,
)

/** Who answers from memory. */
export const members = script(prelude, `local e, n = lane()\nreturn { e, n, redis.call('HGET', KEYS[1], 'm') or '' }`)
