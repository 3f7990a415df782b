import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { ROOT } from '../../scripts/lib/say.mjs'

/** Seen by the compiler under both meanings of `@`. What must not compile stands behind `@ts-expect-error`. */
const program = `
import express, { type Request, type RequestHandler, type Response } from 'express'
import { createSluice } from '@sluice/express'
import { createSluice as createKoa } from '@sluice/koa'
import type { Context, Next } from 'koa'
import sluiceFastify from '@sluice/fastify'
import fastify from 'fastify'

const sluice = createSluice({ limits: { search: '10/min' } })
const app = express()

// Parameters are inferred from where the wrapper stands.
app.get('/cities', sluice.cached('5m')((req, res) => {
  const name: string = req.path
  res.json({ name })
}))
app.get('/search', sluice.limited('search', '5/s').per('route')((_req, res) => void res.json([])))
const handler: RequestHandler = sluice.invalidates('cities')(async (_req: Request, res: Response) => { res.end() })

// The type goes through unchanged.
const narrow = sluice.cached()((req: Request<{ id: string }>, res: Response) => res.json(req.params.id))
const answered: Response = narrow({} as Request<{ id: string }>, {} as Response)
// @ts-expect-error it takes two arguments, as before
narrow({} as Request<{ id: string }>)
// @ts-expect-error it does not answer a number
const wrong: number = narrow({} as Request<{ id: string }>, {} as Response)

class Cities {
  private readonly name = 'Oslo'

  @sluice.cached('5m', { tags: ['cities'] })
  list(_req: Request, res: Response): void {
    res.json([this.name])
  }

  @sluice.limited('search') @sluice.cached('5m')
  async search(_req: Request, res: Response): Promise<void> {
    res.json([])
  }

  @sluice.invalidates((r) => \`city:\${r.params.id}\`)
  static change(_req: Request, res: Response): void {
    res.end()
  }

  // @ts-expect-error not for values
  @sluice.cached('5m') value = 5
}

// @ts-expect-error not for classes
@sluice.cached('5m') class Whole {}

// @ts-expect-error there is no such option
sluice.cached('5m', { tagz: [] })
// @ts-expect-error a TTL is given once
sluice.cached('5m', { ttl: '5m' })
// @ts-expect-error not a function
sluice.cached('5m')(5)
// @ts-expect-error a route is all there is to count per
sluice.limited('search').per('user')

const koa = createKoa()
class KoaCities {
  @koa.cached('5m') async list(ctx: Context, _next: Next): Promise<void> { ctx.body = [] }
}

const instance = fastify()
await instance.register(sluiceFastify)
instance.get('/cities', instance.sluice.cached('5m')(async (request) => ({ at: request.url })))

// The compiler is really at work.
const canary: number = 'a'

export { answered, canary, Cities, handler, KoaCities, Whole, wrong }
`

const dir = join(ROOT, '.cache')
let temp: string
beforeAll(() => {
  mkdirSync(dir, { recursive: true })
  temp = mkdtempSync(join(dir, 'decorator-types-'))
  writeFileSync(join(temp, 'package.json'), '{ "type": "module" }')
  writeFileSync(join(temp, 'program.ts'), program)
})
afterAll(() => rmSync(temp, { recursive: true, force: true }))

describe('the types of decorators and wrappers', () => {
  test.each([
    ['TC39', false],
    ['experimentalDecorators', true],
  ])(
    '%s',
    (_kind, experimentalDecorators) => {
      const config = join(temp, 'tsconfig.json')
      const compilerOptions = {
        experimentalDecorators,
        composite: false,
        noEmit: true,
        allowImportingTsExtensions: true,
        rewriteRelativeImportExtensions: false,
        rootDir: ROOT,
      }
      writeFileSync(
        config,
        JSON.stringify({ extends: join(ROOT, 'tsconfig.base.json'), compilerOptions, include: ['.'] }),
      )
      const tsc = join(ROOT, 'node_modules/typescript/bin/tsc')
      const { stdout } = spawnSync(process.execPath, [tsc, '-p', config], { encoding: 'utf8' })
      const errors = stdout.split('\n').filter((line) => line.includes('program.ts'))
      expect(errors).toEqual([expect.stringContaining("Type 'string' is not assignable to type 'number'")])
    },
    60_000,
  )
})
