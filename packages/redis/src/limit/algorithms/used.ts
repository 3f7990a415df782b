import { placesOf } from './places.ts'

const [s, b, f] = [placesOf('sliding-window', 'by'), placesOf('token-bucket', 'by'), placesOf('fixed-window', 'by')]
const k = placesOf('calendar-window', 'by')

/**
 * How much is used of a state that was counted in another way until now. Here and not with the algorithms, of which a script
 * has only those it counts by.
 */
export const used = `
local function used(x, by, now)
  if by[1] == 's' then
    local n, c, at, used = #x, math.floor(now / ${s.bucketMs}), 2, x[1]
    if n > 1 and x[n - 1] > c then c = x[n - 1] end
    while at < n and c - x[at] > ${s.span} do
      used = used - x[at + 1]
      at = at + 2
    end
    return math.min(${s.quota}, used)
  elseif by[1] == 'b' then
    local m = math.max(0, (x[1] - now) * ${b.perMs} + x[2])
    return ${b.burst} - math.max(0, math.floor((${b.burst} * ${b.perToken} - m) / ${b.perToken}))
  elseif by[1] == 'f' then
    return now < x[1] + ${f.windowMs} and math.min(${f.quota}, x[2]) or 0
  elseif by[1] == 'k' then
    return now < x[2] and math.min(${k.quota}, x[4]) or 0
  end
  return 0
end
`
