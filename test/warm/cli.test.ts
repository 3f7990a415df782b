import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals'
import { createSluice } from '@sluice/node'
import { runCommand } from '../../packages/node/src/warm/command.ts'
import { ROOT } from '../../scripts/lib/say.mjs'

// Each process compiles what it runs, and the machine may be busy.
jest.setTimeout(60_000)

const temp = mkdtempSync(join(tmpdir(), 'sluice-cli-'))
const sluice = createSluice()
const cached = sluice.cache('1h')
const seen: string[] = []
let slow = false
const handled: string[] = []
const server = http.createServer((request, response) => {
  seen.push(`${request.headers.host}${request.url} ${request.headers['x-a'] ?? ''}`.trim())
  cached(request, response, () => {
    handled.push(request.url!)
    if (request.url === '/fails') response.statusCode = 500
    if (slow && request.url === '/slow') return
    response.end('page')
  })
})
let url: string
beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})
afterAll(async () => {
  server.closeAllConnections()
  server.close()
  await sluice.close()
  rmSync(temp, { recursive: true, force: true })
})

function start(...args: string[]) {
  const hooks = join(ROOT, 'test/examples/support/run-typescript.mjs')
  const cli = join(ROOT, 'packages/admin/src/cli.ts')
  const child = spawn(process.execPath, ['--import', hooks, '--conditions=sluice-source', cli, ...args], { cwd: temp })
  let out = ''
  let error = ''
  child.stdout.setEncoding('utf8').on('data', (text) => (out += text))
  child.stderr.setEncoding('utf8').on('data', (text) => (error += text))
  const ended = once(child, 'close').then(([code]) => ({ code, out, error }))
  return { child, ended, said: () => error }
}
const sluiceCommand = (...args: string[]) => start(...args).ended

/** The same without a process. */
async function command(...args: string[]) {
  const said = { out: '', error: '' }
  const into = (name: 'out' | 'error') => ({ write: (text: string) => (said[name] += text) })
  const code = await runCommand(args, { out: into('out'), error: into('error') })
  return { code, ...said }
}

describe('npx sluice warm, as a process of its own', () => {
  test('asks for paths, says what it did, and ends with 0', async () => {
    const { code, out, error } = await sluiceCommand(
      'warm',
      url,
      '/a',
      '/b',
      '--host',
      'api.example.com',
      '--header',
      'X-A: 1',
    )
    expect([code, out]).toEqual([0, '2 of 2: 2 stored, 0 there already\n'])
    expect(error).toBe('2 of 2: 2 stored, 0 there already\n')
    expect(seen).toEqual(expect.arrayContaining(['api.example.com/a 1', 'api.example.com/b 1']))
    const again = await sluiceCommand('warm', url, '/a', '/b', '--host', 'api.example.com', '--quiet')
    expect([again.out, again.error]).toEqual(['2 of 2: 0 stored, 2 there already\n', ''])
    expect(handled).toHaveLength(2)
  })

  test.each([
    ['a list', '--list', '/l1\n/l2\n'],
    ['a sitemap in a file', '--sitemap', '<urlset><url><loc>http://127.0.0.1/s1</loc></url></urlset>'],
    ['an access log', '--log', '- - - [-] "GET /g1 HTTP/1.1" 200 1\n'],
  ])('%s', async (_what, option, content) => {
    const path = join(temp, `source${option}`)
    writeFileSync(path, content)
    const { code, out } = await command('warm', url, option, path, '--quiet')
    expect([code, /^(\d) of \1: \1 stored/.test(out)]).toEqual([0, true])
  })

  test('ends with 1 where something failed', async () => {
    const { code, out } = await command('warm', url, '/fails', '--retries', '0', '--quiet')
    expect([code, out]).toEqual([1, '1 of 1: 0 stored, 0 there already, 1 failed\n'])
  })

  test('Ctrl-C stops it, and --resume goes on', async () => {
    slow = true
    const resume = join(temp, 'journal')
    const args = ['warm', url, '/r1', '/slow', '/r2', '--concurrency', '1', '--resume', resume]
    const { child, ended } = start(...args)
    while (!handled.includes('/slow')) await new Promise((resolve) => setTimeout(resolve, 10))
    child.kill('SIGINT')
    const stopped = await ended
    expect([stopped.code, readFileSync(resume, 'utf8')]).toEqual([1, '/r1\n'])
    expect(stopped.error).toContain('Stopped. The same command goes on from here.')
    slow = false
    const { code, out } = await sluiceCommand(...args)
    expect([code, out]).toEqual([0, '3 of 3: 2 stored, 0 there already, 1 done before\n'])
    expect(existsSync(resume)).toBe(false)
  })

  test.each([
    ['no command', [], 'a command is missing'],
    ['another command', ['cool', 'x'], 'there is no command `cool`'],
    ['no URL', ['warm'], 'the URL of the application is missing'],
    ['nothing to ask for', ['warm', 'http://x'], 'says what to ask for'],
    ['two sources', ['warm', 'http://x', '/a', '--list', 'b'], 'says what to ask for'],
    ['an unknown option', ['warm', 'http://x', '/a', '--fast'], "Unknown option '--fast'"],
    [
      'an option that makes no sense',
      ['warm', 'http://x', '/a', '--concurrency', 'many'],
      '`warm.concurrency` must be',
    ],
    ['a header that is none', ['warm', 'http://x', '/a', '--header', 'x'], "must be 'Name: value'"],
  ])('%s ends with 2 and says why', async (_what, args, message) => {
    const { code, error } = await command(...args)
    expect(error).toContain(message)
    expect(code).toBe(2)
  })

  test('so does a process', async () => {
    const { code, error } = await sluiceCommand('warm')
    expect([code, error.startsWith('sluice: the URL of the application is missing\n\nUsage: sluice warm')]).toEqual([
      2,
      true,
    ])
  })

  test('--help', async () => {
    const { code, out } = await command('--help')
    expect([code, out.startsWith('Usage: sluice warm <url> [path...] [options]')]).toEqual([0, true])
  })
})
