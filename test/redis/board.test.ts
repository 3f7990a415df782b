import { describe, expect, test } from '@jest/globals'
import { systemClock } from '../../packages/core/src/base/clock.ts'
import { RedisBoard } from '../../packages/redis/src/board.ts'
import { Link } from '../../packages/redis/src/connection/link.ts'
import { until } from '../support/redis-server.ts'
import { wired } from './library.ts'
import { client, server } from './one-client.ts'
import { freshName } from './support.ts'

const boardOf = (namespace: string) => new RedisBoard(new Link(wired(client), {}), systemClock(), namespace)

describe('the board that processes share', () => {
  test('holds one note of each name, with its age', async () => {
    const name = freshName()
    const [one, other] = [boardOf(name), boardOf(name)]
    await one.post('a', 'first', 10_000)
    await one.post('a', 'second', 10_000)
    await other.post('b', 'ü\0"', 10_000)
    const notes = await other.read()
    expect([...notes.keys()].sort()).toEqual(['a', 'b'])
    expect(notes.get('a')!.note).toBe('second')
    expect(notes.get('b')!.note).toBe('ü\0"')
    expect(notes.get('a')!.ageMs).toBeGreaterThanOrEqual(0)
    expect(notes.get('a')!.ageMs).toBeLessThan(2_000)
    await one.remove('a')
    expect([...(await one.read()).keys()]).toEqual(['b'])
    expect(await boardOf(freshName()).read()).toEqual(new Map())
  })

  test('tells who posts whether somebody reads, and the time', async () => {
    const board = boardOf(freshName())
    const before = await board.post('a', '', 10_000)
    expect(before.watched).toBe(false)
    expect(Math.abs(before.now - Date.now())).toBeLessThan(2_000)
    await board.read()
    expect((await board.post('a', '', 10_000)).watched).toBe(true)
  })

  test('notes end by themselves, and the board with the last of them', async () => {
    const name = freshName()
    const board = boardOf(name)
    await board.post('short', 'x', 30)
    await board.post('long', 'x', 60_000)
    await until(async () => !(await board.read()).has('short'))
    expect([...(await board.read()).keys()]).toEqual(['long'])
    const lone = freshName()
    await boardOf(lone).post('a', 'x', 30)
    await until(async () => (await client.exists(`${lone}:board:1`)) === 0)
  })

  test('takes no more notes than anybody could look at', async () => {
    const board = boardOf(freshName())
    for (let i = 0; i < 230; i++) await board.post(`p${i}`, 'x', 60_000)
    const { size } = await board.read()
    expect(size).toBeGreaterThanOrEqual(190)
    expect(size).toBeLessThanOrEqual(202)
    // One that is there goes on.
    await board.post('p0', 'newer', 60_000)
    expect((await board.read()).get('p0')!.note).toBe('newer')
  })

  test('fails in time where Redis does not answer', async () => {
    const board = boardOf(freshName())
    await board.post('a', 'x', 10_000)
    server.freeze()
    try {
      await expect(board.read()).rejects.toThrow(/keep the board/)
    } finally {
      server.thaw()
    }
  })
})
