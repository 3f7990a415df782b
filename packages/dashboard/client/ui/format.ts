const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 })
const short = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 })

/** What is not known. */
export const none = '–'

export const count = (value: number): string => (value < 10_000_000 ? whole.format(value) : short.format(value))

/** A number a second. */
export const rate = (value: number): string =>
  value === 0 || value >= 10 ? whole.format(value) : value.toFixed(value < 1 ? 2 : 1)

/** @param value 0 to 1 */
export const share = (value: number | null): string =>
  value === null ? none : `${(Math.floor(value * 1000) / 10).toFixed(1)} %`

const units: readonly [ms: number, unit: string][] = [
  [86_400_000, 'd'],
  [3_600_000, 'h'],
  [60_000, 'min'],
  [1_000, 's'],
  [1, 'ms'],
]

export function duration(ms: number | null): string {
  if (ms === null) return none
  if (ms < 0) return `−${duration(-ms)}`
  const [size, unit] = units.find(([from]) => ms >= from) ?? [1, 'ms']
  const value = ms / size
  const isWhole = Math.abs(value - Math.round(value)) < 0.005
  return `${value.toFixed(value >= 9.95 || isWhole ? 0 : value < 1 ? 2 : 1)} ${unit}`
}

export function bytes(value: number): string {
  if (value < 1000) return `${whole.format(value)} B`
  let [rest, unit] = [value, 0]
  while (rest >= 999.5 && unit < 4) [rest, unit] = [rest / 1000, unit + 1]
  return `${rest.toFixed(rest < 10 ? 1 : 0)} ${['B', 'kB', 'MB', 'GB', 'TB'][unit]}`
}

/** The time of the day, on this machine's clock. */
export const clock = (at: number): string => new Date(at).toLocaleTimeString('en-GB')

/** What can hide in a text, or turn it round: shown by its number. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const unseen = /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g

export const plain = (text: string): string =>
  text.replace(unseen, (found) => `\\u${found.charCodeAt(0).toString(16).padStart(4, '0')}`)
