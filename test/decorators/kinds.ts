import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { transformSync } from '@swc/core'
import { citiesClass } from './fixtures/cities.ts'

const source = fileURLToPath(new URL('./fixtures/cities.ts', import.meta.url))

/** Compiles the fixture as NestJS applications are compiled: `experimentalDecorators`. */
function legacyClass(): typeof citiesClass {
  const { code } = transformSync(readFileSync(source, 'utf8'), {
    filename: source,
    swcrc: false,
    jsc: {
      target: 'es2022',
      parser: { syntax: 'typescript', decorators: true },
      transform: { legacyDecorator: true, decoratorMetadata: true },
    },
    module: { type: 'commonjs' },
  })
  // TypeScript's helper of old: it is called with a prototype, a name and a descriptor, and with no context.
  if (!code.includes('getOwnPropertyDescriptor')) throw new Error('these are no legacy decorators')
  const module = { exports: {} as { citiesClass: typeof citiesClass } }
  new Function('module', 'exports', code)(module, module.exports)
  return module.exports.citiesClass
}

/** The same class under both meanings of `@`. Jest's transform gives the first. */
export const kinds = [
  ['TC39 decorators', citiesClass],
  ['experimentalDecorators', legacyClass()],
] as const
