import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from '@jest/globals'

const cwd = fileURLToPath(new URL('../../grafana', import.meta.url))
const promtool = (...args: readonly string[]) => spawnSync('promtool', args, { cwd, encoding: 'utf8' })
const isThere = promtool('--version').error === undefined
const where = isThere ? test : (test.skip as unknown as typeof test)
const remedy = isThere ? '' : ' (skipped: apt-get install prometheus has promtool)'

describe('promtool', () => {
  where(`takes the alert rules${remedy}`, () => {
    const { status, stdout, stderr } = promtool('check', 'rules', 'alerts.yml')
    expect([status, stderr]).toEqual([0, ''])
    expect(stdout).toMatch(/SUCCESS: 10 rules found/)
  })

  where(`sees each fire when it should, and none on an ordinary day${remedy}`, () => {
    const { status, stdout, stderr } = promtool('test', 'rules', 'alerts.test.yml')
    expect([status, stderr]).toEqual([0, ''])
    expect(stdout).toMatch(/SUCCESS/)
  })
})
