import type { StoredForm } from './record.ts'
import { rendered } from './rendered.ts'

/** The same characters in one piece: what was glued together keeps its pieces in memory, what was cut out the whole. */
export function ownText(text: string): string {
  return text.length < 2 ? text : [text.slice(0, 1), text.slice(1)].join('')
}

/** A small body is often a slice of a large buffer (node's pool, a socket's chunk) that it would keep alive. */
export function ownForm(form: StoredForm): StoredForm {
  const { coding, body, etag, best } = form
  const own: StoredForm & { [rendered]: undefined } = {
    coding,
    body: body.buffer.byteLength === body.byteLength ? body : copied(body),
    etag: etag === undefined ? undefined : ownText(etag),
    best,
    [rendered]: undefined,
  }
  return own
}

function copied(body: Uint8Array): Uint8Array {
  const own = Buffer.allocUnsafeSlow(body.byteLength)
  own.set(body)
  return own
}
