import { describe, expect, test } from '@jest/globals'
import { by, type KeyFunction, type PolicyOptions } from '@sluice/core'
import { createLimiter } from '../../packages/core/src/limit/limiter.ts'

describe('the phase of a policy that says none', () => {
  test.each<[string, KeyFunction, 'onRequest' | 'preHandler']>([
    ['by.ip', by.ip, 'onRequest'],
    ['by.route', by.route, 'onRequest'],
    ['by.header', by.header('x-api-key'), 'onRequest'],
    ['by.hash of the query', by.hash('query.q'), 'onRequest'],
    ['by.hash of a parameter', by.hash('params.id'), 'onRequest'],
    ['by.user', by.user, 'preHandler'],
    ['by.hash of the body', by.hash('body.email'), 'preHandler'],
    ['by.hash of the session', by.hash('session.id'), 'preHandler'],
    ['by.hash of a cookie', by.hash('cookies.sid'), 'preHandler'],
    ['a combination without any of these', by(by.ip, by.route), 'onRequest'],
    ['a combination with one', by(by.ip, by(by.route, by.user)), 'preHandler'],
    ['a function of one’s own', () => 'all', 'onRequest'],
  ])('%s', (_, key, phase) => {
    const pipeline = createLimiter({ limits: { p: { rate: '1/s', key } } }).pipeline('p')
    expect([pipeline.phase, pipeline.phaseGiven]).toEqual([phase, false])
  })

  test.each(['onRequest', 'preHandler'] as const)('what the policy says goes before: %s', (phase) => {
    const policy: PolicyOptions = { rate: '1/s', key: by.user, phase }
    const pipeline = createLimiter({ limits: { p: policy } }).pipeline('p')
    expect([pipeline.phase, pipeline.phaseGiven, pipeline.per('route').phase]).toEqual([phase, true, phase])
  })
})
