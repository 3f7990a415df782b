import type { ChildProcess } from 'node:child_process'
import { EventEmitter } from 'node:events'
import { afterEach, beforeEach, expect, jest, test } from '@jest/globals'
import { fillPlace } from '../../examples/cluster/src/place.ts'

/** As much of a process as its place sees. */
class Fake extends EventEmitter {
  exitCode: number | null = null
  signalCode: string | null = null
  readonly pid: number
  readonly port: number | undefined

  constructor(pid: number, port: number | undefined) {
    super()
    this.pid = pid
    this.port = port
  }

  end(): void {
    this.exitCode = 1
    this.emit('exit')
  }

  send(message: string): void {
    if (message === 'stop') this.end()
  }

  kill(): void {}
}

let started: Fake[]
let said: string[]

beforeEach(() => {
  jest.useFakeTimers()
  started = []
  said = []
})
afterEach(() => {
  jest.useRealTimers()
})

function place() {
  return fillPlace(
    (port) => {
      const fake = new Fake(started.length + 1, port)
      started.push(fake)
      return fake as unknown as ChildProcess
    },
    (message) => said.push(message),
  )
}

const last = () => started.at(-1)!

async function pass(ms: number): Promise<void> {
  await jest.advanceTimersByTimeAsync(ms)
}

test('a process that ends again and again is followed ever later, up to ten seconds, on the port of the first', async () => {
  const { port } = place()
  last().emit('message', { listens: 4_000 })
  expect(await port).toBe(4_000)
  for (const delay of [100, 200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000]) {
    const count = started.length
    last().end()
    await pass(delay - 1)
    expect(said.at(-1)).toBe(`Process ${count} has ended (exit code 1). Another one starts in ${delay / 1000} s.`)
    expect(started).toHaveLength(count)
    await pass(1)
    expect(started).toHaveLength(count + 1)
    expect(last().port).toBe(4_000)
  }
})

test('one that has worked for a while is followed at once again', async () => {
  place()
  last().emit('message', { listens: 4_000 })
  for (let i = 0; i < 4; i++) {
    await pass(0)
    last().end()
    await pass(10_000)
  }
  last().emit('message', { listens: 4_000 })
  await pass(10_000)
  last().end()
  await pass(100)
  expect(said.slice(-2)).toEqual([
    'Process 5 has taken the place of 4.',
    'Process 5 has ended (exit code 1). Another one starts in 0.1 s.',
  ])
  expect(started).toHaveLength(6)
})

test('nobody follows after a stop, not even one who is due', async () => {
  const { stop } = place()
  last().emit('message', { listens: 4_000 })
  await pass(0)
  last().end()
  await pass(50)
  await stop()
  await pass(60_000)
  expect(started).toHaveLength(1)
})

test('where the first one never listens the start fails, and nobody follows', async () => {
  const { port } = place()
  last().end()
  await expect(port).rejects.toThrow('One of the processes ended before it listened. It says why above.')
  await pass(60_000)
  expect([started.length, said]).toEqual([1, []])
})
