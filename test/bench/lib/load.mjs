import { connect } from 'node:net'

const lastChunk = Buffer.from('0\r\n\r\n')

/**
 * Sends `count` requests over `connections` kept-alive connections, one at a time on each, and resolves when all were
 * answered. It looks at nothing but the length of each answer, so that little of the measured time is its own.
 *
 * @param {{ port: number, path: string | (() => string), headers?: Record<string, string>, count: number, connections?: number }} load
 * @returns {Promise<{ seconds: number, status: number, bytes: number }>}
 */
export async function load({ port, path, headers = {}, count, connections = 16 }) {
  const lines = Object.entries({ host: `127.0.0.1:${port}`, ...headers }).map(
    ([name, value]) => `${name}: ${value}\r\n`,
  )
  const requestTo = (target) => Buffer.from(`GET ${target} HTTP/1.1\r\n${lines.join('')}\r\n`)
  const same = typeof path === 'string' && requestTo(path)
  let left = count
  let bytes = 0
  let status = 0
  const started = performance.now()
  const one = () =>
    new Promise((resolve, reject) => {
      const socket = connect(port, '127.0.0.1')
      let pending = Buffer.alloc(0)
      let expected = -1
      const next = () => {
        if (left <= 0) return socket.end(resolve)
        left--
        socket.write(same || requestTo(path()))
      }
      socket.setNoDelay(true)
      socket.on('error', reject)
      socket.on('connect', next)
      socket.on('data', (chunk) => {
        bytes += chunk.length
        if (expected < 0) {
          pending = pending.length ? Buffer.concat([pending, chunk]) : chunk
          const end = pending.indexOf('\r\n\r\n')
          if (end < 0) return
          const head = pending.toString('latin1', 0, end)
          status = Number(head.slice(9, 12))
          const length = /\r\ncontent-length: *(\d+)/i.exec(head)
          if (/\r\ntransfer-encoding: *chunked/i.test(head)) {
            expected = Number.POSITIVE_INFINITY
          } else {
            if (!length && status !== 304 && status !== 204) return reject(new Error(`no length in\n${head}`))
            expected = Number(length?.[1] ?? 0) * (status === 304 ? 0 : 1) - (pending.length - end - 4)
          }
          chunk = pending
          pending = Buffer.alloc(0)
        } else expected -= chunk.length
        // The last chunk. A body that happens to have this at the end of a packet is too rare to matter here.
        if (expected === Number.POSITIVE_INFINITY && chunk.subarray(-5).equals(lastChunk)) expected = 0
        if (expected === 0) {
          expected = -1
          next()
        }
      })
    })
  await Promise.all(Array.from({ length: connections }, one))
  return { seconds: (performance.now() - started) / 1000, status, bytes }
}
