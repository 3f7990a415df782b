import { describe, expect, test } from '@jest/globals'
import { load } from './support/load.ts'

describe('npm run demo:load', () => {
  test('says so where nobody listens', async () => {
    const { code, errors } = await load('--url', 'http://127.0.0.1:1')
    expect([code, errors]).toEqual([
      1,
      'Nothing listens at http://127.0.0.1:1. Start the API in another terminal: npm start\n',
    ])
  })

  test.each([
    [['--rate', 'much'], /--rate must be a number/],
    [['--for', '-1'], /argument|--for/],
    [['--url', 'here'], /--url must be the URL/],
    [['--speed', '3'], /--speed/],
  ])('%p is refused with a sentence', async (args, message) => {
    const { code, errors } = await load(...args)
    expect(code).toBe(1)
    expect(errors).toMatch(message)
    expect(errors).not.toMatch(/at .*\.mjs/)
  })
})
