import { describe, expect, test } from '@jest/globals'
import type { PolicyOptions } from '@sluice/core'
import { createLimiter } from '../../packages/core/src/limit/limiter.ts'

describe('how a refusal is answered: what makes no sense is an error at once', () => {
  test.each<[Partial<PolicyOptions>, RegExp]>([
    [{ redirect: '/slow', respond: () => '' }, /`limits\.p\.redirect` must not stand beside `respond`/],
    [{ redirect: '/slow', status: 400 }, /`limits\.p\.redirect` must not stand beside `status`/],
    [{ redirect: '/slow', refuse: 'error' }, /`limits\.p\.refuse` must not be 'error' beside `redirect`/],
    [{ respond: () => '', refuse: 'error' }, /`limits\.p\.refuse` must not be 'error' beside `respond`/],
    [{ redirect: '/a\nb' }, /`limits\.p\.redirect` must be a URL or a path, without control characters/],
    [{ redirect: '' }, /`limits\.p\.redirect` must be a non-empty string/],
    [{ status: 200 }, /`limits\.p\.status` must be a status from 400 to 599; received 200/],
    [{ status: 600 }, /must be a status from 400 to 599/],
    [{ status: 429.5 }, /`limits\.p\.status` must be/],
    [{ refuse: 'throw' as never }, /`limits\.p\.refuse` must be one of "reply", "error"/],
  ])('%j', (more, message) => {
    expect(() => createLimiter({ limits: { p: { rate: '1/min', ...more } } })).toThrow(message)
  })

  test.each<Partial<PolicyOptions>>([
    { refuse: 'error', status: 420 },
    { refuse: 'reply', redirect: () => '/slow' },
    { status: 503, respond: () => '' },
  ])('%j goes together', (more) => {
    expect(() => createLimiter({ limits: { p: { rate: '1/min', ...more } } })).not.toThrow()
  })
})
