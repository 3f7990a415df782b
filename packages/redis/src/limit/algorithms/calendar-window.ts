import { placesOf } from './places.ts'

const p = placesOf('calendar-window')

/** The earliest moment a `Date` can be, as in core. */
const beginningMs = -8.64e15

/**
 * `calendar-window`: counts in the day, week or month that contains now.
 *
 * State: `{ from, until, last, used }`, as in core.
 *
 * A script knows no calendar. It is handed the bounds of some periods behind the spec, `{ from, until, from, until, … }`, and
 * picks by its own time. Of a time outside of them it can say nothing: that is noted in `outside`, and nothing is written.
 */
export const calendarWindow = `
specOf = function(argument)
  local n = string.find(argument, ' ', 1, true)
  if not n then return argument, cjson.decode(argument) end
  local text = string.sub(argument, 1, n - 1)
  local spec = cjson.decode(text)
  spec.periods = cjson.decode(string.sub(argument, n + 1))
  return text, spec
end
local function periodOf(p, t)
  local periods = p.periods
  for i = 1, #periods, 2 do
    if t >= periods[i] and t < periods[i + 1] then return periods[i], periods[i + 1] end
  end
  outside = t
  return t, t + 1
end
local function counted(s, now)
  if now < s[2] then return s[4] end
  return 0
end
local function unused() return { ${beginningMs}, ${beginningMs}, ${beginningMs}, 0 } end
A.k = {
  fresh = unused,
  carry = function(s, p, by, now)
    -- Stores forget what is over.
    if now >= s[2] then return unused() end
    local from, till = periodOf(p, math.max(now, s[3]))
    if s[3] >= from then return { from, till, s[3], s[4] } end
    return unused()
  end,
  wait = function(s, p, cost, now)
    if cost > ${p.quota} then return -1 end
    if cost == 0 or counted(s, now) + cost <= ${p.quota} then return 0 end
    return s[2] - now
  end,
  charge = function(s, p, cost, now)
    if cost == 0 then return end
    if now < s[2] then
      s[3] = math.max(s[3], now)
      s[4] = s[4] + cost
      return
    end
    s[1], s[2] = periodOf(p, now)
    s[3] = now
    s[4] = cost
  end,
  refund = function(s, p, cost, now, at)
    -- A charge of an earlier period is back already.
    if now >= s[2] or (at and at < s[1]) then return end
    s[4] = math.max(0, s[4] - cost)
  end,
  left = function(s, p, now)
    local used = counted(s, now)
    local reset = used > 0 and s[2] - now or 0
    return math.max(0, ${p.quota} - used), reset, reset
  end,
}
`
