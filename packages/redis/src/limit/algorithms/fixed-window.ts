import { placesOf } from './places.ts'

const p = placesOf('fixed-window')
const former = placesOf('fixed-window', 'by')

/**
 * `fixed-window`: counts from the first charge until the window is over.
 *
 * State: `{ start, used }`, as in core.
 */
export const fixedWindow = `
local function running(s, p, now)
  if now < s[1] + ${p.windowMs} then return s[2] end
  return 0
end
A.f = {
  fresh = function() return { 0, 0 } end,
  carry = function(s, p, by, now)
    if now < s[1] + ${former.windowMs} then return s end
    return { 0, 0 }
  end,
  wait = function(s, p, cost, now)
    if cost > ${p.quota} then return -1 end
    if cost == 0 or running(s, p, now) + cost <= ${p.quota} then return 0 end
    return s[1] + ${p.windowMs} - now
  end,
  charge = function(s, p, cost, now)
    if cost == 0 then return end
    local used = running(s, p, now)
    if used == 0 then s[1] = now end
    s[2] = used + cost
  end,
  refund = function(s, p, cost, now, at)
    local used = running(s, p, now)
    -- A charge of an earlier window is back already.
    if used == 0 or (at and at < s[1]) then return end
    s[2] = math.max(0, used - cost)
  end,
  left = function(s, p, now)
    local used = running(s, p, now)
    local reset = used > 0 and s[1] + ${p.windowMs} - now or 0
    return math.max(0, ${p.quota} - used), reset, reset
  end,
}
`
