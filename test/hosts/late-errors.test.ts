import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from '@jest/globals'

const loader = new URL('../examples/support/run-typescript.mjs', import.meta.url).href
const program = fileURLToPath(new URL('./processes/late-errors.ts', import.meta.url))

function run(what: string): Promise<{ code: number | null; out: string; errors: string }> {
  const args = ['--conditions=sluice-source', '--import', loader, program, what]
  const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'pipe'] })
  let out = ''
  let errors = ''
  child.stdout.on('data', (chunk: Buffer) => (out += chunk))
  child.stderr.on('data', (chunk: Buffer) => (errors += chunk))
  return new Promise((resolve) => child.on('close', (code) => resolve({ code, out, errors })))
}

describe('a background refresh that fails where nobody catches it', () => {
  test.each([
    ['application', 'hosts'],
    ['front door', 'door'],
  ])(
    'ends itself and nothing else, on every host, whichever way, begun by the %s',
    async (_, what) => {
      const { code, out, errors } = await run(what)
      const lines = out
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as [string, string[]])
      const all = lines.at(-1)![1]
      expect(all.length).toBeGreaterThan(10)
      expect(lines.map(([name]) => name)).toEqual([
        ...['node:http', 'Express 4', 'Express 5', 'Koa 2', 'Koa 3', 'Fastify 5'],
        'all',
      ])
      for (const [name, survived] of lines) expect([name, survived]).toEqual([name, all])
      expect(code).toBe(0)
      expect(errors).toContain('SLUICE_REFRESH_FAILED')
    },
    60_000,
  )

  test('what fails elsewhere meanwhile ends the process as ever', async () => {
    const { code, out, errors } = await run('stranger')
    expect([code, out]).toEqual([1, ''])
    expect(errors).toContain('Error: stranger')
  }, 30_000)

  test('or is told to whoever listens', async () => {
    const { code, out } = await run('listener')
    expect([code, out]).toEqual([0, 'told stranger\nalive\n'])
  }, 30_000)
})
