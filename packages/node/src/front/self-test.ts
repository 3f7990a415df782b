import { createServer, type RequestListener } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import type { Reply } from '@sluice/core'
import { takesOneBuffer, writeOneBuffer } from './one-buffer.ts'

/** Node versions whose responses are known to be made like this. */
const oldest = 20
const newest = 26

/** How long it may take: whoever is that late is not trusted either. */
const patienceMs = 5_000

const fields = [
  'Content-Type',
  'text/plain',
  'X-Text',
  'sm\u00f8rrebr\u00f8d',
  'Content-Length',
  '5',
  'Date',
  'Thu, 01 Jan 1970 00:00:00 GMT',
]
const body = Buffer.from('hello')
const ok: Reply = { status: 200, fields, body }
const notModified: Reply = {
  status: 304,
  fields: ['ETag', '"1"', 'Date', 'Thu, 01 Jan 1970 00:00:00 GMT'],
  body: undefined,
}

let tried: Promise<boolean> | undefined

/**
 * Whether this Node sends the same bytes for an answer in one piece as for `writeHead` and `end`: tried out once in a process,
 * over a connection to itself, with a GET, a HEAD and a 304 on one connection, one behind the other and at once.
 */
export function oneBufferWorks(): Promise<boolean> {
  tried ??= tryOut()
  return tried
}

async function tryOut(): Promise<boolean> {
  const major = Number(process.versions.node.split('.', 1)[0])
  if (!(major >= oldest && major <= newest)) return false
  try {
    const plain = await conversation((request, response) => {
      const reply = request.url === '/304' ? notModified : ok
      response.writeHead(reply.status, reply.fields as string[])
      if (reply.body && request.method !== 'HEAD') response.end(reply.body)
      else response.end()
    })
    let whole = 0
    const ours = await conversation((request, response) => {
      const reply = request.url === '/304' ? notModified : ok
      if (!takesOneBuffer(response, reply)) {
        response.end()
        return
      }
      response.once('finish', () => whole++)
      writeOneBuffer(response, reply, request.method === 'HEAD')
    })
    return plain.length > 0 && plain === ours && whole === questions.length
  } catch {
    return false
  }
}

const questions = ['GET /', 'HEAD /', 'GET /304', 'GET /']

/** Everything a server answers to four questions on one connection. */
function conversation(listener: RequestListener): Promise<string> {
  return new Promise((resolve, reject) => {
    const server = createServer(listener)
    const end = (act: () => void): void => {
      clearTimeout(late)
      server.close()
      server.closeAllConnections()
      act()
    }
    const late = setTimeout(() => end(() => reject(new Error('late'))), patienceMs)
    server.once('error', (error) => end(() => reject(error)))
    server.listen(0, '127.0.0.1', () => {
      const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
      let text = ''
      socket.setEncoding('latin1')
      socket.on('data', (piece: string) => {
        text += piece
        if (text.split('HTTP/1.1 ').length - 1 === questions.length && text.endsWith('\r\n\r\nhello'))
          end(() => resolve(text))
      })
      socket.once('error', (error) => end(() => reject(error)))
      socket.write(questions.map((line) => `${line} HTTP/1.1\r\nHost: self\r\n\r\n`).join(''))
    })
    server.unref()
  })
}
