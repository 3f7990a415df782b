import { types } from 'node:util'
import { canonicalText } from './canonical.ts'
import { digest, joinParts } from './parts.ts'

/** Where the name of a user is looked for. The first that holds anything decides. */
const names = ['id', 'sub', '_id', 'uid', 'userId', 'user_id', 'uuid', 'username', 'login', 'email'] as const

/** Within what a name is unique: the same `id` in two of these is two users. */
const realms = [
  ...['iss', 'issuer', 'provider', 'realm', 'tenant', 'tenantId', 'tenant_id', 'tid'],
  ...['org', 'orgId', 'org_id', 'organization', 'organizationId'],
] as const

/** What a user may do here. One user with two tokens of different scope gets different answers, but has one quota. */
const powers = ['scope', 'scopes', 'scp', 'role', 'roles', 'groups', 'permissions'] as const

/** No user is known by more than that; roles and permissions are counted too. */
const maxValues = 2_000

/** Above this a name is replaced by its digest: what a token holds must not decide how large keys are. */
const longest = 200

/** Whether this says that somebody is signed in. */
export function isSomebody(user: unknown): boolean {
  return user !== undefined && user !== null && user !== false && user !== ''
}

/**
 * What a user is called: text that only the same user gives. `undefined` where no name can be told exactly, never the
 * text of an object that has none (`[object Object]`). Never throws, whatever getters and proxies do.
 *
 * @param exact - roles and scopes belong to the name too: for answers, and not for counts
 */
export function userName(user: unknown, exact: boolean): string | undefined {
  try {
    const parts = typeof user === 'object' && user !== null ? nameParts(user, exact) : ['', nameText(user)]
    if (parts === undefined || parts.includes(undefined)) return undefined
    const text = (exact ? undefined : plainName(user, parts)) ?? joinParts(parts)
    return text.length > longest ? `#${digest(text)}` : text
  } catch {
    return undefined
  }
}

/** What limits call a user who has nothing but a name, so that `sluice.check(policy, { key: 'id:7' })` counts him too. */
function plainName(user: unknown, parts: readonly (string | undefined)[]): string | undefined {
  const [name, , realm] = parts
  const id = name ? read(user as object, name) : user
  if (realm !== undefined || typeof id === 'object') return undefined
  return `${name || typeof id}:${id}`
}

function nameParts(user: object, exact: boolean): (string | undefined)[] | undefined {
  const name = names.find((one) => holds(user, one))
  // An ObjectId or UUID in place of a user. A plain object or a list is no name.
  const parts = name === undefined ? ['', instanceText(user)] : [name, nameText(read(user, name))]
  for (const more of exact ? [...realms, ...powers] : realms) {
    if (!holds(user, more)) continue
    const text = realmText(read(user, more))
    // It shows that there are several of them, and not which.
    if (text === undefined) return undefined
    parts.push(more, text)
  }
  return parts
}

/** An organisation is known by its id where it has one: how much it has used, say, must not make another user of this one. */
function realmText(realm: unknown): string | undefined {
  const isObject = typeof realm === 'object' && realm !== null && !Array.isArray(realm)
  const id = isObject ? ['id', '_id', 'uuid', 'slug'].find((name) => holds(realm, name)) : undefined
  if (id === undefined) return canonicalText(realm, { instance: instanceText, maxValues })
  const text = nameText(read(realm as object, id))
  return text === undefined ? undefined : `${id}=${text}`
}

const read = (object: object, name: string): unknown => (object as Record<string, unknown>)[name]

/** Methods of that name (`user.roles()`) hold nothing. */
function holds(object: object, name: string): boolean {
  const value = read(object, name)
  return value !== undefined && value !== null && value !== '' && typeof value !== 'function'
}

/** The text of an id, of any kind that can be compared. A truth value, NaN or nothing at all is no name. */
function nameText(id: unknown): string | undefined {
  return tells(id, 0) ? canonicalText(id, { instance: instanceText, maxValues }) : undefined
}

/** Whether there is anything in it that could tell two users apart. */
function tells(id: unknown, depth: number): boolean {
  if (typeof id === 'string') return id !== ''
  if (typeof id === 'number') return Number.isFinite(id)
  if (typeof id !== 'object' || id === null) return typeof id === 'bigint'
  if (types.isUint8Array(id)) return id.length > 0
  if (types.isSet(id) || types.isMap(id)) return id.size > 0
  const inside = Object.values(id)
  // Of a class: its text decides.
  if (inside.length === 0) return !Array.isArray(id) && Object.getPrototypeOf(Object.getPrototypeOf(id) ?? id) !== null
  return depth < 4 && inside.some((value) => typeof value === 'function' || tells(value, depth + 1))
}

/**
 * The text of an instance of a class: what it gives out as its digits (ObjectId), its bytes, its `toString` with the
 * plain values it shows beside that, or an id of its own. `undefined` where none of these tells it from others.
 */
function instanceText(value: object): string | undefined {
  const hex = read(value, 'toHexString')
  if (typeof hex === 'function') return textOf('x', hex.call(value))
  if (ArrayBuffer.isView(value)) {
    const bytes = Buffer.from(value.buffer as ArrayBuffer, value.byteOffset, value.byteLength)
    return textOf(Object.prototype.toString.call(value).slice(8, -1), bytes.toString('latin1'))
  }
  if (types.isSet(value) || types.isMap(value)) {
    return canonicalText([...value], { instance: instanceText, maxValues })
  }
  if (types.isDate(value)) return Number.isNaN(value.getTime()) ? undefined : `D${value.getTime()}`
  const said = ownString(value)
  if (said !== undefined) return joinParts(['s', said, plainMembers(value)])
  const id = ['id', '_id', 'uuid'].find((name) => holds(value, name))
  return id === undefined ? undefined : textOf('i', nameText(read(value, id)))
}

const textOf = (kind: string, text: unknown): string | undefined =>
  typeof text === 'string' && text !== '' ? kind + text : undefined

/** What `toString` of its class says of this very object; `undefined` where it says the same of any. */
function ownString(value: object): string | undefined {
  const method = read(value, 'toString')
  if (typeof method !== 'function' || Array.isArray(value) || shared.test(Object.prototype.toString.call(value))) {
    return undefined
  }
  const said: unknown = method.call(value)
  if (typeof said !== 'string' || said === '' || said.startsWith('[object ')) return undefined
  try {
    // A constant (`toString() { return 'User' }`) is said without looking.
    if (method.call(Object.create(Object.getPrototypeOf(value))) === said) return undefined
  } catch {
    // It looked, and there was nothing.
  }
  return said
}

/** Their text is less than their value: a message that many errors have. */
const shared = /^\[object (?:Error|RegExp|Function)\]$/

function plainMembers(value: object): string | undefined {
  const plain = Object.entries(value).filter(([, member]) => typeof member !== 'object' && typeof member !== 'function')
  return plain.length > 0 && plain.length < 100 ? canonicalText(plain) : undefined
}
