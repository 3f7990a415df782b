/** The package has no types of its own. */
declare module 'compressible' {
  function compressible(type: string): boolean | undefined
  export = compressible
}
