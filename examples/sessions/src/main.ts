import { randomUUID } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import { createApp } from './app.ts'

const server = createApp(process.env.SECRET ?? randomUUID()).listen(
  Number(process.env.PORT ?? 3000),
  '127.0.0.1',
  () => {
    console.log(`Listening on http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  },
)
