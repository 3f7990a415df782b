import { placesOf } from './places.ts'

const p = placesOf('concurrent')

/**
 * `concurrent`: permits that are out.
 *
 * State: `{ name, units, untilMs, … }`, three for each permit, in the order they
 * were given.
 */
export const concurrent = `
local function out(s, now)
  local used = 0
  for i = 3, #s, 3 do
    if now < s[i] then used = used + s[i - 1] end
  end
  return used
end
local function drop(s, i)
  local n = #s
  for j = i + 3, n do s[j - 3] = s[j] end
  s[n], s[n - 1], s[n - 2] = nil, nil, nil
end
A.c = {
  fresh = function() return {} end,
  carry = function(s) return s end,
  wait = function(s, p, cost, now)
    local limit = ${p.limit}
    if cost > limit then return -1 end
    local used = out(s, now)
    if cost == 0 or used + cost <= limit then return 0 end
    local leases = {}
    for i = 3, #s, 3 do
      if now < s[i] then leases[#leases + 1] = { s[i], s[i - 1] } end
    end
    table.sort(leases, function(a, b) return a[1] < b[1] end)
    local ends = now
    for _, lease in ipairs(leases) do
      if used + cost <= limit then break end
      used = used - lease[2]
      ends = lease[1]
    end
    return ends - now
  end,
  charge = function(s, p, cost, now, permit)
    if cost == 0 then return end
    for i = #s - 2, 1, -3 do
      if now >= s[i + 2] then drop(s, i) end
    end
    local n = #s
    s[n + 1], s[n + 2], s[n + 3] = permit, cost, now + ${p.leaseMs}
  end,
  refund = function(s, p, cost, now, at, permit)
    for i = #s - 2, 1, -3 do
      if s[i] == permit then return drop(s, i) end
    end
  end,
  renew = function(s, p, now, permit)
    for i = 1, #s, 3 do
      if s[i] == permit then
        if now < s[i + 2] then s[i + 2] = now + ${p.leaseMs} end
        return
      end
    end
  end,
  left = function(s, p, now)
    local used, first, last = 0, nil, now
    for i = 3, #s, 3 do
      if now < s[i] then
        used = used + s[i - 1]
        if not first or s[i] < first then first = s[i] end
        if s[i] > last then last = s[i] end
      end
    end
    return math.max(0, ${p.limit} - used), first and first - now or 0, last - now
  end,
}
`
