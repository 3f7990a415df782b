import { placesOf } from './places.ts'

const p = placesOf('ban')
const former = placesOf('ban', 'by')

/**
 * `ban`: shuts a key out that is refused again and again. Its refusals are counted as a sliding window counts, whose parameters
 * come first among its own: in a script that has `A.s` too.
 *
 * State: `{ since, until, times, last, byHand, reason, refused }`, as in core.
 */
export const ban = `
local function banMs(s, now)
  if now < s[2] then return math.min(s[2] - now, s[2] - s[1]) end
  return 0
end
local function forgottenAt(s, ms) return math.max(s[2], s[4]) + ms end
local function forget(s, p, now)
  if now >= forgottenAt(s, ${p.forgetMs}) then s[3] = 0 end
end
local function lengthOf(p, times)
  local ms, i = ${p.forMs}, 1
  while i < times and ms < ${p.maxMs} and ${p.factor} > 1 do
    ms = math.min(${p.maxMs}, math.floor(ms * ${p.factor}))
    i = i + 1
  end
  return ms
end
local function begin(s, now, ms)
  s[1], s[2], s[4], s[7] = now, now + ms, now, A.s.fresh()
end
A.x = {
  fresh = function() return { 0, 0, 0, 0, 0, '', A.s.fresh() } end,
  carry = function(s, p, by, now)
    -- What was forgotten by the former rules stays so.
    local times = now < forgottenAt(s, ${former.forgetMs}) and s[3] or 0
    return { s[1], s[2], times, s[4], s[5], s[6], A.s.carry(s[7], p, by, now) }
  end,
  wait = function(s, p, cost, now) return banMs(s, now) end,
  -- Whether a refusal changed anything.
  refused = function(s, p, now)
    if now < s[2] then
      if now >= s[1] then return false end
      -- The clock was set back.
      s[1], s[2] = now, now + s[2] - s[1]
      return true
    end
    if ${p.forMs} == 0 then return false end
    forget(s, p, now)
    -- What was counted by a clock that was ahead would never be over.
    if now + ${p.windowMs} < s[4] then s[7] = A.s.fresh() end
    -- The last ban is over, whatever a clock says later on.
    s[1], s[2], s[4] = 0, 0, now
    A.s.charge(s[7], p, 1, now)
    if A.s.left(s[7], p, now) > 0 then return true end
    s[3], s[5], s[6] = s[3] + 1, 0, ''
    begin(s, now, lengthOf(p, s[3]))
    return true
  end,
  shut = function(s, p, now, ms, reason)
    if now >= s[2] then
      forget(s, p, now)
      s[3] = s[3] + 1
    end
    s[5], s[6] = 1, reason
    begin(s, now, ms)
  end,
  left = function(s, p, now)
    local ms = banMs(s, now)
    if ms > 0 then return 0, ms, ms + ${p.forgetMs} end
    local left, reset, full = A.s.left(s[7], p, now)
    if s[3] > 0 then full = math.max(full, forgottenAt(s, ${p.forgetMs}) - now) end
    return left, reset, full
  end,
}
`
