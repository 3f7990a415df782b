import { placesOf } from './places.ts'

const p = placesOf('sliding-window')
const former = placesOf('sliding-window', 'by')

/**
 * `sliding-window` and `sliding-log`: pairs of a bucket's number and the units charged in it. The log is the same
 * algorithm with buckets of one millisecond, of which a window's length less one lie before the current one.
 *
 * State: `{ used, i₁, n₁, i₂, n₂, … }`, as in core.
 */
export const buckets = `
local function live(s, p, now)
  local n, c, at, used = #s, math.floor(now / ${p.bucketMs}), 2, s[1]
  -- Time does not run backwards.
  if n > 1 and s[n - 1] > c then c = s[n - 1] end
  while at < n and c - s[at] > ${p.span} do
    used = used - s[at + 1]
    at = at + 2
  end
  return at, used, c
end
local function endOf(i, p) return (i + ${p.span} + 1) * ${p.bucketMs} end
A.s = {
  fresh = function() return { 0 } end,
  -- Each bucket's units in the bucket of the latest moment they can be of.
  carry = function(s, p, by, now)
    local former, n = ${former.bucketMs}, #s
    if former == ${p.bucketMs} and ${former.span} == ${p.span} then return s end
    local next, present = { 0 }, math.floor(now / former)
    if n > 1 and s[n - 1] > present then present = s[n - 1] end
    for at = 2, n - 1, 2 do
      local units = s[at + 1]
      if units > 0 and present - s[at] <= ${former.span} then
        local last = (s[at] + 1) * former - 1
        if at == n - 1 then last = math.min(last, math.max(now, s[at] * former)) end
        local i, m = math.floor(last / ${p.bucketMs}), #next
        if m > 1 and next[m - 1] == i then
          next[m] = next[m] + units
        else
          next[m + 1], next[m + 2] = i, units
        end
        next[1] = next[1] + units
      end
    end
    return next
  end,
  wait = function(s, p, cost, now)
    local quota = ${p.quota}
    if cost > quota then return -1 end
    local at, used = live(s, p, now)
    if cost == 0 or used + cost <= quota then return 0 end
    while used + cost > quota do
      used = used - s[at + 1]
      at = at + 2
    end
    return endOf(s[at - 2], p) - now
  end,
  charge = function(s, p, cost, now)
    if cost == 0 then return end
    local at, used, c = live(s, p, now)
    local n, gone = #s, at - 2
    s[1] = used + cost
    if gone > 0 then
      for i = at, n do s[i - gone] = s[i] end
      for i = n, n - gone + 1, -1 do s[i] = nil end
      n = n - gone
    end
    if n > 1 and s[n - 1] == c then
      s[n] = s[n] + cost
    else
      s[n + 1] = c
      s[n + 2] = cost
    end
  end,
  refund = function(s, p, cost, now, at)
    local left, bucket = cost, at and math.floor(at / ${p.bucketMs})
    for i = #s - 1, 2, -2 do
      if left <= 0 then break end
      -- Only its own bucket: where that has run out the units are back already.
      if not bucket or s[i] == bucket then
        local given = math.min(left, s[i + 1])
        s[i + 1] = s[i + 1] - given
        s[1] = s[1] - given
        left = left - given
      end
    end
  end,
  left = function(s, p, now)
    local at, used = live(s, p, now)
    local reset, full = 0, 0
    for i = at, #s - 1, 2 do
      -- A refund may have emptied a bucket.
      if s[i + 1] > 0 then
        full = endOf(s[i], p) - now
        if reset == 0 then reset = full end
      end
    end
    return math.max(0, ${p.quota} - used), reset, full
  end,
}
`
