/** The part of json-mask 2.x in use; it brings no types. */
declare module 'json-mask' {
  interface Selected {
    readonly type?: 'object' | 'array' | undefined
    readonly isWildcard?: boolean | undefined
    readonly properties?: CompiledMask | undefined
  }
  type CompiledMask = Readonly<Record<string, Selected>>
  const mask: { compile(text: string): CompiledMask | null }
  export = mask
}
