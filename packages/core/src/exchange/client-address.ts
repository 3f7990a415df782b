/** The canonical form of a client's address; `undefined` where it cannot be determined. */
export function clientAddress(address: string | undefined): string | undefined {
  return address
}
