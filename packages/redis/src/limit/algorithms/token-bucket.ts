/**
 * `token-bucket`: the moment at which the bucket will be full again.
 *
 * Spec: `burst, perToken, perMs` at p[3] to p[5]. State: `{ fullMs, extra }`, as in core.
 *
 * `math.fmod` and not `%`, which Lua 5.1 works out from a quotient that is rounded.
 */
export const tokenBucket = `
local function missing(s, p, now) return math.max(0, (s[1] - now) * p[5] + s[2]) end
local function put(s, p, now, m)
  local whole = math.floor(m / p[5])
  s[1] = now + whole
  s[2] = m - whole * p[5]
end
A.b = {
  fresh = function() return { 0, 0 } end,
  wait = function(s, p, cost, now)
    if cost > p[3] then return -1 end
    if cost == 0 then return 0 end
    local over = missing(s, p, now) + cost * p[4] - p[3] * p[4]
    if over <= 0 then return 0 end
    return math.ceil(over / p[5])
  end,
  charge = function(s, p, cost, now)
    if cost > 0 then put(s, p, now, missing(s, p, now) + cost * p[4]) end
  end,
  refund = function(s, p, cost, now)
    local m = missing(s, p, now)
    if m > 0 then put(s, p, now, math.max(0, m - cost * p[4])) end
  end,
  tell = function(s, p, now)
    local m, capacity = missing(s, p, now), p[3] * p[4]
    local reset = 0
    if m > 0 then
      -- Parts until the next whole token; below an empty bucket (the clock was set back) until the first.
      local parts = m - (capacity - p[4])
      if parts <= 0 then parts = math.fmod(m, p[4]) end
      if parts == 0 then parts = p[4] end
      reset = math.ceil(parts / p[5])
    end
    return math.max(0, math.floor((capacity - m) / p[4])), reset, math.ceil(m / p[5])
  end,
}
`
