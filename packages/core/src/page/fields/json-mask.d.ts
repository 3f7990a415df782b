/** The part of json-mask 2.x in use; it brings no types. */
declare module 'json-mask' {
  const mask: { compile(text: string): object | null }
  export = mask
}
