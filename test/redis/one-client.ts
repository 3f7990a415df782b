import { afterAll, beforeAll } from '@jest/globals'
import type { Redis } from 'ioredis'
import { serverOfTests } from '../support/outside-redis.ts'
import type { RedisServer } from '../support/redis-server.ts'
import { connect } from './support.ts'

// Whoever imports this gets a server for the tests of its file, and a client of it.
export let server: RedisServer
export let client: Redis

beforeAll(async () => {
  server = await serverOfTests()
  client = await connect(server.port)
})
afterAll(async () => {
  client.disconnect()
  await server.stop()
})
