/**
 * Text as limits group it: what a person takes for the same is the same. Without space around it, composed (NFC, so that an
 * `é` of two code points is one), and in small letters, by way of capitals: `STRASSE` and `straße`, `Σ`, `σ` and `ς` are one.
 */
export function folded(text: string): string {
  return text.trim().normalize('NFC').toUpperCase().toLowerCase().normalize('NFC')
}
