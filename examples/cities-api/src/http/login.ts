import { createHash, timingSafeEqual } from 'node:crypto'
import { Problem } from './problem.ts'

/** Who signs in with a JSON body. @throws Problem 400 for a body that is none, 401 for a wrong password */
export function signIn(body: unknown, password: string): { readonly user: string } {
  const { user, password: given } = (body ?? {}) as { user?: unknown; password?: unknown }
  if (typeof user !== 'string' || typeof given !== 'string') {
    throw new Problem(400, 'The body must be a JSON object with a "user" and a "password".')
  }
  if (!same(given, password)) throw new Problem(401, 'The password is wrong.')
  return { user }
}

/** In a time that does not tell how much of it is right. */
function same(a: string, b: string): boolean {
  return timingSafeEqual(sha256(a), sha256(b))
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
