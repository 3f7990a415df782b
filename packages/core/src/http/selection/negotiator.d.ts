/** The part of negotiator 1.x in use; what is published as its types describes 0.6. */
declare module 'negotiator' {
  class Negotiator {
    constructor(request: { headers: { 'accept-encoding'?: string } })
    /** Acceptable codings of `available`, the best first; `preferred` decides between equal weights. */
    encodings(available: string[], options?: { preferred?: readonly string[] }): string[]
  }
  export = Negotiator
}
