import type { KeyRefusal } from '../exchange/context.ts'
import type { NotStorable } from '../http/caching/storable.ts'

/** Why a request has no key that could be used. */
export type NoKeyReason = KeyRefusal | 'callback' | 'body-unread' | 'query-unread'

/** Why the cache leaves a request alone. */
export type NotLookedUp =
  | NoKeyReason
  | 'unless'
  | 'precondition'
  | 'authorization'
  | 'request'
  | 'store'
  | 'only-if-cached'

/** What its handler read forbids to store it: the word names that. */
export type Unkeyed = `unkeyed-${string}`

/** What stages beside the cache say with `.skip(reason)`, and handlers without a word of their own. */
type Said = 'skip' | 'ttl-zero' | 'nested' | 'behind-paginate' | 'unanswered'

/** What is found out of the request that brought it, or when the whole of it is there. */
type FoundOut =
  | 'head'
  | 'too-large'
  | 'unwatchable'
  | 'terms'
  | 'incomplete'
  | 'callback'
  | 'store-if'
  | 'key-changed'
  | 'variants'
  | 'contradicted'
  | 'unconfirmed'
  | 'purged'
  | 'store-refused'
  | 'follower'

/** Why a response is not stored. */
export type NotStored = NotStorable | FoundOut | Said | Unkeyed

/** Why a stored response stood in for an answer that never came. */
export type StoodIn = 'failed' | 'timeout'

/** Each of them has its explanation here, and its row in docs/guide/caching.md. */
type Word = Exclude<NotLookedUp | NotStored | StoodIn, Unkeyed>

/** Why a response was not stored, or its request passed by: the words of `Cache-Status; detail=`, `stats()` and events. */
export interface Reason {
  readonly cause: string
  readonly remedy: string
}

const none = 'Nothing: this is right.'

/** Every reason there is but those that begin with `unkeyed-`, which name what was read, and those of `.skip(reason)`. */
export const reasons: Readonly<Record<Word, Reason>> = Object.freeze({
  authorization: {
    cause: 'The request has credentials, and nothing says that its answer is not theirs alone (RFC 9111 §3.5).',
    remedy: '`varyBy: by.user`, or `public: true` if it is the same for everybody.',
  },
  'behind-paginate': {
    cause:
      'A `paginate()` stands in front of the cache, and would have to repeat on a hit what only the handler knows.',
    remedy: 'Mount `cache()` in front of `paginate()`.',
  },
  'body-unread': {
    cause: 'The request has a body that nobody has parsed in front of the cache, so it cannot be in the key.',
    remedy: 'Mount the body parser in front of the cache.',
  },
  callback: {
    cause: 'A function of the configuration threw, or answered what cannot be part of a key; see the `error` event.',
    remedy: 'Mend the function that the event names.',
  },
  unconfirmed: {
    cause: 'What is stored is another visitor’s until somebody confirms it who has no credential in common with him.',
    remedy: '`cookies: [...]` with those that can shape an answer, or `public: true` if it is the same for everybody.',
  },
  contradicted: {
    cause: 'Two visitors were given different answers to this, so it is not shared.',
    remedy: '`varyBy: by.user` if they are to differ, `public: true` if the difference is no secret (a timestamp).',
  },
  'event-stream': { cause: 'Server-sent events have no end.', remedy: none },
  failed: {
    cause: 'What is stored stood in: the handler failed before there was a status.',
    remedy: 'Mend the handler.',
  },
  follower: {
    cause: 'It waited for another request’s handler longer than `timeout`, and ran its own.',
    remedy: 'A longer `timeout`, or a faster handler.',
  },
  head: { cause: 'A HEAD has no body to store; a GET will.', remedy: none },
  identity: {
    cause: 'Somebody is signed in, and no name of his can be told from the user object.',
    remedy: '`createSluice({ identity: (user) => user.… })`.',
  },
  incomplete: { cause: 'The body is shorter or longer than its Content-Length.', remedy: 'Mend the handler.' },
  'key-changed': {
    cause: 'Who is signed in, or what else the key is made of, changed while the handler ran.',
    remedy: none,
  },
  method: { cause: 'The method is none of the route’s `methods`.', remedy: 'Add it to `methods`.' },
  'must-understand': { cause: 'The status asks more of caches than is known here (RFC 9111 §5.2.2.3).', remedy: none },
  nested: {
    cause: 'Another cache behind this one stores it, with tags that this one does not know.',
    remedy: 'One of the two is enough.',
  },
  'no-key': { cause: '`key` answered nothing for this request.', remedy: 'Answer text for what is to be stored.' },
  'no-store': { cause: 'The handler said `no-store`.', remedy: 'Say something else, if it may be stored.' },
  'not-fresh': {
    cause: 'Neither the route nor the handler says how long it is fresh.',
    remedy: '`cache(ttl)`, or a Cache-Control of the handler’s.',
  },
  'only-if-cached': { cause: 'The client wanted a stored answer and there is none.', remedy: none },
  partial: { cause: 'It is a part (206) that cannot be stored as one.', remedy: none },
  precondition: { cause: 'If-Match and If-Unmodified-Since are the handler’s to answer.', remedy: none },
  private: { cause: 'The handler said `private`.', remedy: 'Say something else, if it is everybody’s.' },
  purged: { cause: 'It was purged while the handler ran.', remedy: none },
  'query-unread': {
    cause: 'It cannot be told what the application makes of this query.',
    remedy: 'Have the framework parse queries, or leave out the `query` option.',
  },
  range: { cause: 'The handler looked at which range was asked for, and may have answered that.', remedy: none },
  request: { cause: 'The client’s own Cache-Control said `no-store` (`honourRequest`).', remedy: none },
  'set-cookie': {
    cause: 'A cookie given to everybody is never what was meant.',
    remedy: 'Set cookies in middleware in front of the cache.',
  },
  skip: { cause: 'The handler called `.skip()`.', remedy: none },
  status: {
    cause: 'A route’s TTL is for 200, 203, 301 and 308.',
    remedy: '`negativeTtl` for 404 and 410; for others a Cache-Control of the handler’s on a route without TTL.',
  },
  store: { cause: 'The store could not be asked; see the `error` event.', remedy: 'Look after Redis.' },
  'store-if': { cause: '`storeIf` said no.', remedy: none },
  'store-refused': {
    cause: 'The store did not take it: too large for it, closed, or out of reach; see the `error` event.',
    remedy: 'More `maxBytes`, or look after Redis.',
  },
  terms: {
    cause: 'The handler read more than 64 different things of the request.',
    remedy: '`varyBy` with what matters of them.',
  },
  timeout: {
    cause: 'What is stored stood in: the handler took longer than `timeout`.',
    remedy: 'A longer `timeout`, or a faster handler.',
  },
  'too-large': { cause: 'The body is above `maxEntryBytes`.', remedy: 'A higher `maxEntryBytes`.' },
  'ttl-zero': { cause: 'The handler called `.ttl(0)`.', remedy: none },
  unanswered: { cause: 'No middleware has answered yet: what stands in front may still do so.', remedy: none },
  unless: { cause: '`unless` said that the cache is to leave it alone.', remedy: none },
  unwatchable: {
    cause:
      'The handler has an object at hand that cannot be watched: frozen, sealed, with fixed properties; or one that was given ' +
      'another prototype while it ran, as by an application mounted in another (later answers are watched and stored).',
    remedy: '`guard: { ignore: [name] }` if it does not shape the answer, else `varyBy`.',
  },
  variants: {
    cause: 'The key has as many variants as `maxVariants` allows.',
    remedy: '`varyBy: (c) => …` with what matters of what is read, or a higher `maxVariants`.',
  },
  'vary-star': { cause: 'The handler said `Vary: *`.', remedy: 'Name the fields.' },
})

/** What a word of `Cache-Status; detail=` means. */
export function explainReason(reason: string): Reason {
  const known = Object.hasOwn(reasons, reason) ? reasons[reason as Word] : undefined
  if (known) return known
  if (reason === 'unkeyed-query') {
    return {
      cause: 'A stage behind the cache reads a parameter that `query` leaves out of the key.',
      remedy: 'Add it to `query`.',
    }
  }
  if (reason.startsWith('unkeyed-')) {
    return {
      cause: `The handler read something of somebody’s, or that came while it ran: ${reason.slice('unkeyed-'.length)}.`,
      remedy:
        '`varyBy` if it shapes the answer (`by.user`, `by.ip`, `by.cookie(name)`, …), else `guard: { ignore: […] }`.',
    }
  }
  return { cause: `The handler said so: skip(${JSON.stringify(reason)}).`, remedy: none }
}
