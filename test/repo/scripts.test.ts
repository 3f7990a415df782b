import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, describe, expect, test } from '@jest/globals'
import { version } from '../../packages/core/src/sluice/version.ts'
import { MINIMUM_NODE, nodeVersionProblem } from '../../scripts/lib/node-version.mjs'
import { ensureRedisServer, findProgram, redisRemedy } from '../../scripts/lib/redis-server.mjs'
import { run } from '../../scripts/lib/run.mjs'
import { ROOT } from '../../scripts/lib/say.mjs'
import { sum, tallyJest, tallyLine } from '../../scripts/lib/tally.mjs'
import { workspacePackages } from '../../scripts/lib/workspace.mjs'

const temp = mkdtempSync(join(tmpdir(), 'sluice-scripts-'))
afterAll(() => rmSync(temp, { recursive: true, force: true }))

const readJson = (path: string) => JSON.parse(readFileSync(join(ROOT, path), 'utf8'))
const packages = workspacePackages('packages')

test.each(packages.map(({ dir }) => join(dir.slice(ROOT.length), 'package.json')))(
  '%s has the version that Sluice says it has',
  (path) => {
    expect(readJson(path).version).toBe(version)
  },
)

describe('the Node version', () => {
  test.each(['20.19.0', '20.20.2', '22.0.0', '24.9.0', '100.0.0', 'v20.19.1'])('%s will do', (version) => {
    expect(nodeVersionProblem(version)).toBeUndefined()
  })

  test.each(['20.18.3', '18.20.0', '8.0.0', '0.12.0'])('%s is refused in one clear sentence', (version) => {
    const problem = nodeVersionProblem(version)
    expect(problem).toMatch(/^Sluice needs Node\.js 20\.19 or newer, and this is [\d.]+: [^\n]+\.$/)
    expect(problem).toContain(version)
  })

  test.each(['package.json', ...packages.map(({ dir }) => join(dir.slice(ROOT.length), 'package.json'))])(
    '%s asks for the same',
    (path) => {
      expect(readJson(path).engines).toEqual({ node: `>=${MINIMUM_NODE}` })
    },
  )

  test.each(['test', 'start', 'build', 'types', 'test-node', 'test-long'])(
    'scripts/%s.mjs checks it before it imports more',
    (name) => {
      const text = readFileSync(join(ROOT, 'scripts', `${name}.mjs`), 'utf8')
      expect(text.match(/^import .*$/gm)).toEqual(["import { requireNode } from './lib/node-version.mjs'"])
      expect(text.indexOf('requireNode()')).toBeLessThan(text.indexOf('import('))
    },
  )
})

describe('the sum of a test run', () => {
  const results = {
    numPassedTests: 3,
    numFailedTests: 0,
    numPendingTests: 0,
    numTodoTests: 0,
    numRuntimeErrorTestSuites: 0,
  }

  test.each([
    ['all passed', results, 0, { passed: 3, failed: 0, skipped: 0 }],
    ['one failed', { ...results, numFailedTests: 1 }, 1, { passed: 3, failed: 1, skipped: 0 }],
    ['a suite did not load', { ...results, numRuntimeErrorTestSuites: 1 }, 1, { passed: 3, failed: 1, skipped: 0 }],
    ['skipped and to do', { ...results, numPendingTests: 1, numTodoTests: 2 }, 0, { passed: 3, failed: 0, skipped: 3 }],
    ['green, but Jest says no', results, 1, { passed: 3, failed: 1, skipped: 0 }],
    ['no results at all', undefined, 0, { passed: 0, failed: 1, skipped: 0 }],
  ])('%s', (_what, jest, code, tally) => {
    expect(tallyJest(jest, code)).toEqual(tally)
  })

  test('is one line', () => {
    const tally = sum([
      { passed: 1, failed: 0, skipped: 0 },
      { passed: 2, failed: 1, skipped: 0 },
    ])
    expect(tallyLine(tally)).toBe('3 passed, 1 failed')
    expect(tallyLine({ ...tally, skipped: 2 })).toBe('3 passed, 1 failed, 2 skipped')
  })
})

describe('Redis, where it is missing', () => {
  const machine = (platform: string, root: boolean, ...programs: string[]) =>
    redisRemedy({ platform, root, has: (name) => programs.includes(name) })

  test('is installed from Debian as root', () => {
    const remedy = machine('linux', true, 'apt-get')
    expect(remedy).toMatchObject({ kind: 'run' })
    expect(JSON.stringify(remedy)).toContain('redis-server')
  })

  test('is installed from Homebrew on macOS', () => {
    expect(machine('darwin', false, 'brew')).toEqual({ kind: 'run', commands: [['brew', 'install', 'redis']] })
  })

  test.each([
    ['Debian without root', 'linux', 'apt-get', 'sudo apt-get install redis-server'],
    ['macOS without Homebrew', 'darwin', '', 'brew install redis'],
    ['Fedora', 'linux', 'dnf', 'sudo dnf install redis'],
    ['Alpine', 'linux', 'apk', 'apk add redis'],
    ['elsewhere', 'win32', '', 'redis-server'],
  ])('%s is told what to install', (_what, platform, program, command) => {
    const remedy = machine(platform, false, program)
    expect(remedy).toEqual({ kind: 'tell', sentence: expect.stringMatching(/^[^\n]+\.$/) })
    expect(remedy.kind === 'tell' && remedy.sentence).toContain(command)
  })

  test('is looked for on the PATH', () => {
    expect(findProgram('a-program', temp)).toBeUndefined()
    writeFileSync(join(temp, 'a-program'), '')
    expect(findProgram('a-program', `/nowhere:${temp}`)).toBe(join(temp, 'a-program'))
  })

  describe('and another server is named by SLUICE_REDIS_SERVER', () => {
    afterEach(() => {
      delete process.env.SLUICE_REDIS_SERVER
    })

    test('nothing is installed where it exists', async () => {
      process.env.SLUICE_REDIS_SERVER = process.execPath
      await expect(ensureRedisServer()).resolves.toBeUndefined()
    })

    test('a wrong name is told in a sentence', async () => {
      process.env.SLUICE_REDIS_SERVER = '/nowhere/valkey-server'
      await expect(ensureRedisServer()).rejects.toThrow(
        'SLUICE_REDIS_SERVER names "/nowhere/valkey-server", and there is no such program.',
      )
    })
  })
})

describe('running a program', () => {
  test('gives its exit code and its output', async () => {
    const ended = await run(process.execPath, ['-e', 'console.log("said"); process.exit(3)'], { capture: true })
    expect(ended).toEqual({ code: 3, interrupted: false, output: 'said\n' })
  })

  test('names a command that is missing', async () => {
    await expect(run('no-such-command', [])).rejects.toThrow('The command "no-such-command" was not found.')
  })

  // With a process in between: the signal handlers of the process Jest runs us in are not ours.
  test('passes a Ctrl-C on once, though it arrives twice, and ends cleanly', async () => {
    const inner = `
      let count = 0
      process.on('SIGINT', () => { count++; setTimeout(() => { console.log(count); process.exit(0) }, 200) })
      setInterval(() => {}, 1000)
      console.log('ready')
    `
    const outer = `
      import { run } from ${JSON.stringify(join(ROOT, 'scripts/lib/run.mjs'))}
      const { code, interrupted } = await run(process.execPath, ['-e', ${JSON.stringify(inner)}])
      console.log(code, interrupted)
    `
    const child = spawn(process.execPath, ['--input-type=module', '-e', outer], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let output = ''
    let sent = false
    child.stdout.setEncoding('utf8').on('data', (chunk) => {
      output += chunk
      if (sent || !output.includes('ready')) return
      sent = true
      child.kill('SIGINT')
      setTimeout(() => child.kill('SIGINT'), 50)
    })
    await once(child, 'close')
    expect(output).toBe('ready\n1\n0 true\n')
  })
})

describe('the workspace', () => {
  test('comes in the order of what depends on what', () => {
    const write = (name: string, manifest: object) => {
      mkdirSync(join(temp, 'packages', name), { recursive: true })
      writeFileSync(join(temp, 'packages', name, 'package.json'), JSON.stringify(manifest))
    }
    write('a', { name: 'a', dependencies: { c: 'workspace:*' } })
    write('b', { name: 'b' })
    write('c', { name: 'c', devDependencies: { b: 'workspace:*' } })
    mkdirSync(join(temp, 'packages', 'no-package'))
    expect(workspacePackages('packages', temp).map(({ name }) => name)).toEqual(['b', 'c', 'a'])
    write('b', { name: 'b', dependencies: { a: 'workspace:*' } })
    expect(() => workspacePackages('packages', temp)).toThrow('Packages depend on each other')
  })

  // Comments are allowed in these files; the paths are all that matters here.
  const referencesOf = (file: string) =>
    [...readFileSync(join(ROOT, file), 'utf8').matchAll(/"path": "([^"]+)"/g)].map((match) => match[1])

  test('tsconfig.json, for editors, names every package', () => {
    const expected = packages.map(({ dir }) => `packages/${dir.split('/').at(-1)}`)
    expect(referencesOf('tsconfig.json')).toEqual(expect.arrayContaining(expected))
  })

  test.each(packages)('$name: its project references are its workspace dependencies', ({ dir, needs }) => {
    const expected = needs.map((name) => name.replace('@sluice/', '../'))
    expect(referencesOf(join(dir.slice(ROOT.length), 'tsconfig.json')).sort()).toEqual(expected.sort())
  })

  test.each([
    ['express', { express: '^4.18.0 || ^5.0.0' }],
    ['koa', { koa: '^2.14.0 || ^3.0.0' }],
    ['fastify', { fastify: '^5.0.0' }],
  ])('@sluice/%s names the range it is tested with', (name, peers) => {
    expect(readJson(`packages/${name}/package.json`).peerDependencies).toMatchObject(peers)
  })
})
