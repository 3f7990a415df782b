import { createHash } from 'node:crypto'
import { type Charge, subjectLength } from '@sluice/core'
import { type ChannelOwner, channelOf } from '../../connection/client.ts'
import { Remembered } from '../../connection/remembered.ts'

/** Of what is written to Redis. Another layout gets another number, so that two versions can share a server. */
const format = 2

/** 66 bits each of the policy's name, and of what tells its quotas and routes apart. */
const hashLength = 11

/** What every key ends with, whatever prefix a client puts before it: the subject, a brace, a letter, policy and quota. */
export const nameLength = subjectLength + 2 + 2 * hashLength

/** There are as many as rates and routes. */
const rememberedQuotas = 10_000

/**
 * The keys of states: all of the same length, and those of one subject in one slot of a Cluster. A charge's key begins
 * with a hash of the subject, which becomes the hash tag.
 */
export class LimitKeys {
  readonly #prefix: string
  readonly #back: string
  readonly #client: ChannelOwner | undefined
  readonly #quotas = new Remembered(rememberedQuotas, hashOf)
  readonly #policies = new Remembered(rememberedQuotas, hashOf)

  /** @param client - whose key prefix and database the channel carries, as the keys do by themselves */
  constructor(namespace: string, client?: ChannelOwner) {
    this.#prefix = `${namespace}:l${format}:{`
    this.#back = `${namespace}:l${format}:back`
    this.#client = client
  }

  /** Where it is told what was given back. */
  get channel(): string {
    return channelOf(this.#back, this.#client)
  }

  /** In the slot of that subject, to see whether it can be written. */
  probe(subject: string): string {
    return `${this.#prefix}${subject}}p`
  }

  /** @param leased - units of it are taken in advance, and are counted differently */
  of({ key, quota }: Charge, leased: boolean): string {
    const hash = this.#policies.get(quota.policy) + this.#quotas.get(key.slice(subjectLength))
    const letter = quota.algorithm.kind === 'ban' ? 'b' : leased ? 'a' : 'e'
    return `${this.#prefix}${key.slice(0, subjectLength)}}${letter}${hash}`
  }

  /** What the bans of all subjects look like (Redis's glob), of one policy or of all, before a client's prefix. */
  bansOf(policies: readonly string[]): string {
    const policy = policies.length === 1 ? this.#policies.get(policies[0]!) : '?'.repeat(hashLength)
    return `${escaped(this.#prefix)}${'?'.repeat(subjectLength)}}b${policy}${'?'.repeat(hashLength)}`
  }

  /** Which of these policies a ban's key belongs to. */
  policyOf(key: string, policies: readonly string[]): string | undefined {
    const hash = key.slice(-2 * hashLength, -hashLength)
    return policies.find((policy) => this.#policies.get(policy) === hash)
  }

  /** What the keys of a policy look like, of all subjects or of one (Redis's glob), before a client's prefix. */
  allOf(policy: string, subject = '?'.repeat(subjectLength)): string {
    return `${escaped(this.#prefix)}${subject}}[ae]${this.#policies.get(policy)}${'?'.repeat(hashLength)}`
  }
}

function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('base64url').slice(0, hashLength)
}

/** As it is, in a glob. */
export function escaped(text: string): string {
  return text.replace(/[*?[\]\\]/g, '\\$&')
}

/** What release messages call a key. */
export function nameOf(key: string): string {
  return key.slice(-nameLength)
}

/** The subject of a key as it stands in Redis. */
export function subjectIn(key: string): string {
  return nameOf(key).slice(0, subjectLength)
}

/** What decides in which slot a charge's keys are. */
export function subjectOf({ key }: Charge): string {
  return key.slice(0, subjectLength)
}

/**
 * The charges by subject, as indices. The smallest limit first: it is the most specific, refuses most often, and then
 * nobody else is asked.
 */
export function strictestFirst(charges: readonly Charge[]): readonly (readonly number[])[] {
  const groups = new Map<string, number[]>()
  charges.forEach((charge, i) => {
    const group = groups.get(subjectOf(charge))
    if (group) group.push(i)
    else groups.set(subjectOf(charge), [i])
  })
  const least = (group: readonly number[]): number => Math.min(...group.map((i) => charges[i]!.quota.algorithm.limit))
  return [...groups.values()].sort((a, b) => least(a) - least(b))
}
