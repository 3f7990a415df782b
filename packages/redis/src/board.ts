import type { Board, Clock } from '@sluice/core'
import type { Argument } from './connection/client.ts'
import { withDeadline } from './connection/deadline.ts'
import type { Link } from './connection/link.ts'
import { type Script, script } from './connection/script.ts'

/** How long a board counts as watched after it was read. Milliseconds. */
const watchedMs = 15_000
/** How many notes there may be: more processes than anybody looks at one by one. */
const mostNotes = 200
/** How long a call may take that no request waits for. */
const quietMs = 1_000

/**
 * One hash, `KEYS[1]`: of each note `n…` its text, `a…` when it was put up, `t…` until when it is up; `w` until when somebody
 * watches. It goes by itself when the last note does. All times are the server's, in milliseconds.
 */
const common = `
local function now()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end
local function watched(ms)
  return (tonumber(redis.call('HGET', KEYS[1], 'w') or 0) > ms) and 1 or 0
end
local function takeDown(name)
  redis.call('HDEL', KEYS[1], 'n' .. name, 'a' .. name, 't' .. name)
end
local function keep(ms)
  if redis.call('PTTL', KEYS[1]) < ms then redis.call('PEXPIRE', KEYS[1], ms) end
end
`

/** ARGV 1 name, 2 text, 3 how long. */
const post = script(
  common,
  `
local ms = now()
if redis.call('HEXISTS', KEYS[1], 'n' .. ARGV[1]) == 0 and redis.call('HLEN', KEYS[1]) > ${3 * mostNotes} then
  return { watched(ms), tostring(ms) }
end
redis.call('HSET', KEYS[1], 'n' .. ARGV[1], ARGV[2], 'a' .. ARGV[1], ms, 't' .. ARGV[1], ms + ARGV[3])
keep(tonumber(ARGV[3]))
return { watched(ms), tostring(ms) }
`,
)

/** Answers name, text and age of each, one behind the other. */
const read = script(
  common,
  `
local ms, notes = now(), {}
for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
  if string.sub(field, 1, 1) == 'n' then
    local name = string.sub(field, 2)
    local note = redis.call('HMGET', KEYS[1], field, 'a' .. name, 't' .. name)
    if tonumber(note[3] or 0) <= ms then takeDown(name)
    else
      notes[#notes + 1], notes[#notes + 2], notes[#notes + 3] = name, note[1], ms - tonumber(note[2])
    end
  end
end
redis.call('HSET', KEYS[1], 'w', ms + ${watchedMs})
keep(${watchedMs})
return notes
`,
)

/** ARGV 1 name. */
const remove = script(common, `takeDown(ARGV[1])`)

/** Where the processes of a namespace tell each other how they are. */
export class RedisBoard implements Board {
  readonly #link: Link
  readonly #clock: Clock
  readonly #key: string

  constructor(link: Link, clock: Clock, namespace: string) {
    this.#link = link
    this.#clock = clock
    this.#key = `${namespace}:board:1`
  }

  async post(name: string, note: string, ttlMs: number): ReturnType<Board['post']> {
    return seen(await this.#run(post, [name, note, Math.round(ttlMs)]))
  }

  async read(): ReturnType<Board['read']> {
    const told = (await this.#run(read, [])) as readonly [Buffer, Buffer, number][number][]
    const notes = new Map<string, { note: string; ageMs: number }>()
    for (let i = 0; i < told.length; i += 3) {
      notes.set(String(told[i]), { note: String(told[i + 1]), ageMs: Number(told[i + 2]) })
    }
    return notes
  }

  async remove(name: string): Promise<void> {
    await this.#run(remove, [name])
  }

  #run(what: Script, args: readonly Argument[]): Promise<unknown> {
    const answer = this.#link.run({ script: what, keys: [this.#key], args, waitMs: quietMs })
    return withDeadline(this.#clock, quietMs, 'keep the board', answer)
  }
}

const seen = (answer: unknown): { watched: boolean; now: number } => {
  const [watched, now] = answer as readonly [number, Buffer]
  return { watched: watched === 1, now: Number(String(now)) }
}
