import { placesOf } from './places.ts'

const p = placesOf('token-bucket')
const former = placesOf('token-bucket', 'by')

/** The earliest moment a `Date` can be, as in core: a bucket that is new was full before there was time. */
const beginningMs = -8.64e15

/**
 * `token-bucket`: the moment at which the bucket will be full again.
 *
 * State: `{ fullMs, extra }`, as in core.
 *
 * `math.fmod` and not `%`, which Lua 5.1 works out from a quotient that is rounded.
 */
export const tokenBucket = `
local function missing(s, p, now) return math.max(0, (s[1] - now) * ${p.perMs} + s[2]) end
local function put(s, p, now, m)
  local whole = math.floor(m / ${p.perMs})
  s[1] = now + whole
  s[2] = m - whole * ${p.perMs}
end
A.b = {
  fresh = function() return { ${beginningMs}, 0 } end,
  carry = function(s, p, by, now)
    if ${former.perToken} == ${p.perToken} and ${former.perMs} == ${p.perMs} then return s end
    local m = math.max(0, (s[1] - now) * ${former.perMs} + s[2])
    if m == 0 then return A.b.fresh() end
    local tokens = math.floor(m / ${former.perToken})
    local rest = m - tokens * ${former.perToken}
    local next = { 0, 0 }
    put(next, p, now, math.min(${Number.MAX_SAFE_INTEGER}, tokens * ${p.perToken} + math.ceil(rest * ${p.perToken} / ${former.perToken})))
    return next
  end,
  wait = function(s, p, cost, now)
    if cost > ${p.burst} then return -1 end
    if cost == 0 then return 0 end
    local over = missing(s, p, now) + cost * ${p.perToken} - ${p.burst} * ${p.perToken}
    if over <= 0 then return 0 end
    return math.ceil(over / ${p.perMs})
  end,
  charge = function(s, p, cost, now)
    if cost > 0 then put(s, p, now, missing(s, p, now) + cost * ${p.perToken}) end
  end,
  refund = function(s, p, cost, now, at, permit, missed)
    local m = missing(s, p, now)
    local back = math.min(m, cost * ${p.perToken})
    if at and missed then
      local still = math.floor(missed * ${p.perToken} + 0.5) - math.max(0, now - at) * ${p.perMs}
      back = math.min(back, math.max(0, still))
    end
    if back > 0 then put(s, p, now, m - back) end
  end,
  left = function(s, p, now)
    local m, capacity = missing(s, p, now), ${p.burst} * ${p.perToken}
    local reset = 0
    if m > 0 then
      -- Parts until the next whole token; below an empty bucket (the clock was set back) until the first.
      local parts = m - (capacity - ${p.perToken})
      if parts <= 0 then parts = math.fmod(m, ${p.perToken}) end
      if parts == 0 then parts = ${p.perToken} end
      reset = math.ceil(parts / ${p.perMs})
    end
    return math.max(0, math.floor((capacity - m) / ${p.perToken})), reset, math.ceil(m / ${p.perMs})
  end,
}
`
