import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals'
import { Program } from './support/program.ts'

jest.setTimeout(30_000)

const shell = promisify(execFile)
let directory: string
let program: Program
let base: string

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'sessions-test-'))
  program = new Program('sessions/src/main.ts', [], { PORT: '0' })
  base = (await program.said(/http:\S+/))[0]
})

afterAll(async () => {
  await program?.end('SIGKILL')
  await rm(directory, { recursive: true, force: true })
})

/** Without what is another each time. */
const told = (text: string): string[] =>
  text
    .split('\n')
    .map((line) => line.replace(/\r|ttl=\d+/g, '').replace(/.*(Hello, \w+\.).*/, '$1'))
    .filter((line) => line !== '')

test('the curl lines of its README say what it says they do', async () => {
  const readme = await readFile(new URL('../../examples/sessions/README.md', import.meta.url), 'utf8')
  const lines = [...readme.matchAll(/^(curl .*)\n((?:# .*\n)+)/gm)]
  expect(lines).toHaveLength(5)
  for (const [, command, comment] of lines) {
    const { stdout } = await shell('sh', ['-c', command!.replace('http://127.0.0.1:3000', base)], { cwd: directory })
    expect([command, told(stdout)]).toEqual([command, told(comment!.replace(/^# /gm, ''))])
  }
})

test('a visitor with the cookies of others hits once another has seen the same', async () => {
  const get = async (cookie: string): Promise<string> => {
    const answer = await fetch(`${base}/`, { headers: { cookie, origin: 'https://shop.example' } })
    expect(answer.headers.get('access-control-allow-origin')).toBe('https://shop.example')
    return String(answer.headers.get('cache-status'))
  }
  await get('_ga=1')
  await get('_ga=2')
  expect(await get('_ga=3')).toMatch(/; hit/)
})

test('its form signs in too, and signing out ends it', async () => {
  expect(await (await fetch(`${base}/login`)).text()).toContain('<form method="post">')
  const signedIn = await fetch(`${base}/login`, { method: 'POST', body: new URLSearchParams({ name: '<b>' }) })
  expect(await signedIn.text()).toBe('Hello, &#60;b&#62;.\n')
  const cookie = signedIn.headers.get('set-cookie')!.split(';')[0]!
  expect(await (await fetch(`${base}/`, { headers: { cookie } })).text()).toContain('Hello, &#60;b&#62;.')
  await fetch(`${base}/logout`, { method: 'POST', headers: { cookie } })
  expect(await (await fetch(`${base}/`, { headers: { cookie } })).text()).toContain('Hello, stranger.')
  expect((await fetch(`${base}/login`, { method: 'POST' })).status).toBe(400)
})
