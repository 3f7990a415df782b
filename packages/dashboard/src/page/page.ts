import { gzipSync } from 'node:zlib'
import { type DoorAnswer, header, type Passage } from '@sluice/admin'
import { bestCoding } from '@sluice/core'
import { html, scriptHash, styleHash } from './document.ts'

/** Nothing from anywhere but this page itself, by hash: no inline code that is not ours, and no frame around it. */
export const pagePolicy = [
  "default-src 'none'",
  `script-src '${scriptHash}'`,
  `style-src '${styleHash}'`,
  "connect-src 'self'",
  "img-src 'self' data:",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')

let packed: Buffer | undefined

/** `GET /`: one document, with everything in it. */
export async function page({ request }: Passage): Promise<DoorAnswer> {
  const isPacked = bestCoding(header(request, 'accept-encoding'), ['gzip', 'identity']) === 'gzip'
  if (isPacked) packed ??= gzipSync(html, { level: 9 })
  const body = isPacked ? packed! : Buffer.from(html)
  return {
    status: 200,
    fields: [
      'Content-Type',
      'text/html; charset=utf-8',
      'Content-Security-Policy',
      pagePolicy,
      'Cache-Control',
      'no-store',
      'X-Content-Type-Options',
      'nosniff',
      'Referrer-Policy',
      'no-referrer',
      'Cross-Origin-Opener-Policy',
      'same-origin',
      'Vary',
      'Accept-Encoding',
      ...(isPacked ? ['Content-Encoding', 'gzip'] : []),
      'Content-Length',
      String(body.byteLength),
    ],
    body,
  }
}
