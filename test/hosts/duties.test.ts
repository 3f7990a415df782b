import { readFileSync } from 'node:fs'
import { Transform } from 'node:stream'
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals'
import {
  type BodyPlan,
  type Exchange,
  type Opening,
  type Outcome,
  type Pipeline,
  RefusalError,
  type Reply,
  type RequestView,
  type ResponseHead,
} from '@sluice/core'
import { ResponseCache } from '../../packages/core/src/cache/response-cache.ts'
import { pieces } from './harness/handlers.ts'
import { type Ctx, describeHosts, gate, type Route, turn, until } from './harness/host.ts'

/**
 * What an adapter owes the core, one test a duty, on every host. In place of a cache stands a pipeline that the test
 * wrote, so that nothing but the adapter is tried. CONTRIBUTING.md has the same list, and the last test compares the two.
 */
const duties = [
  'shows each request as it came: method, target, fields, address, parsed query and parameters',
  'sends a reply in place of the handler, whole for GET and without its body for HEAD',
  'lays a reply over what earlier middleware set: replaced, merged, added or taken away',
  'puts the fields of a stage that lets a request go on onto the response',
  'asks once for the head, before anything is sent, and sends it as it was edited',
  'tells of the head which fields the handler wrote, and its reason phrase',
  'obeys each plan for a whole body: pass, tee, hold, replace, recode, through',
  'obeys each plan for a body in pieces: pass, tee, replace, through',
  'copies no more than the limit, tells when that is reached, and sends the rest all the same',
  'hands over bytes that are nobody else’s',
  'sends nothing while something is to be settled',
  'tells the end once: sent, aborted or failed',
  'shows the handler the request as it was changed, and tells what is read of it',
  'gives the handler the control of its response',
  'asks for the head of a stream when its first piece is there',
  'writes in quiet, so that what others read meanwhile is not the handler’s',
  'makes a request again inside the process, with its ticket',
  'hands a refusal to the application’s own error handling, its fields on the response',
  'tells when nobody waits for the answer any more, also before there is an exchange',
] as const

let opening: (view: RequestView) => Opening | Promise<Opening>
const scripted: Pipeline = { name: 'cache', open: (view) => opening(view) }
beforeEach(() => void jest.spyOn(ResponseCache.prototype, 'pipeline').mockReturnValue(scripted))
afterEach(() => void jest.restoreAllMocks())

const tried = new Set<string>()

/** An exchange that wants this of a body, and what it was told. */
function wanting(plan: BodyPlan | ((head: ResponseHead) => BodyPlan), more: Partial<Exchange> = {}) {
  const told: string[] = []
  const heads: ResponseHead[] = []
  const exchange: Exchange = {
    onHead(head) {
      told.push('head')
      heads.push(head)
      return typeof plan === 'function' ? plan(head) : plan
    },
    onBody(_, body) {
      told.push(`body ${Buffer.from(body)}`)
      return { status: 200, fields: ['Content-Type', 'text/plain', 'Content-Length', '4'], body: Buffer.from('held') }
    },
    onClose: (outcome: Outcome) => void told.push(outcome),
    ...more,
  }
  return { told, heads, opening: (): Opening => ({ kind: 'proceed', exchange }) }
}

/** Wants to know of reads, and makes nothing of them. */
const deaf = { read() {}, unread() {}, mark: () => () => {}, input() {}, written() {}, beforeJudging() {} }

const instead: Reply = { status: 203, fields: ['X-Reply', 'yes', 'Content-Length', '7'], body: Buffer.from('instead') }
const upper = (): Transform => new Transform({ transform: (chunk, _, done) => done(null, String(chunk).toUpperCase()) })
const reversed = (body: Uint8Array): Uint8Array => Buffer.from([...body].reverse())

describeHosts('an adapter', (host) => {
  const duty = (title: (typeof duties)[number], run: () => Promise<void>): void => {
    tried.add(title)
    test(title, run)
  }
  const boot = (handler: (c: Ctx) => unknown, route: Partial<Route> = {}, before: Route['before'] = []) =>
    host.boot({ routes: [{ path: '/x/:id', cache: { ttl: '1m' }, before, handler, ...route }] })
  const says = (c: Ctx): void => c.send('said')
  const streams = (c: Ctx): unknown => c.stream(pieces('in ', 'pieces'))

  duty(duties[0], async () => {
    const seen: unknown[] = []
    opening = (view) => {
      const { method, path, query, scheme, clientIp, ticket } = view
      const property = (name: 'query' | 'params') => ({ ...(view.property(name) as object) })
      seen.push([method, path, query, scheme, clientIp, ticket, view.header('x-a'), view.header('x-none')])
      seen.push([/^127\.0\.0\.1:\d+$/.test(view.authority), property('query'), property('params')])
      return { kind: 'reply', reply: instead }
    }
    const app = await boot(says)
    await app.get('/x/7%20?q=1%20&p', { 'x-a': ['one', 'two'] })
    expect(seen).toEqual([
      ['GET', '/x/7%20', 'q=1%20&p', 'http', '127.0.0.1', undefined, 'one, two', undefined],
      [true, { q: '1 ', p: '' }, { id: expect.stringMatching(/^7( |%20)$/) }],
    ])
  })

  duty(duties[1], async () => {
    let runs = 0
    const fields = ['Content-Type', 'text/x', 'Link', '</a>', 'Link', '</b>', 'Content-Length', '7']
    opening = () => ({ kind: 'reply', reply: { ...instead, reason: 'Not The Same', fields } })
    const app = await boot(() => runs++)
    const answer = await app.get('/x/1')
    expect([answer.status, answer.text, answer.header('content-type'), answer.lines('link')]).toEqual([
      ...[203, 'instead', 'text/x'],
      ['</a>', '</b>'],
    ])
    const head = await app.request('/x/1', { method: 'HEAD' })
    expect([head.status, head.text, head.header('content-length'), runs]).toEqual([203, '', '7', 0])
    const raw = await app.client.raw('GET /x/1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
    expect(raw).toMatch(/^HTTP\/1\.1 203 Not The Same\r\n/)
  })

  duty(duties[2], async () => {
    const fields = ['X-Both', 'reply', 'Vary', 'B, a', 'Set-Cookie', 'b=2', 'Cache-Status', 'Sluice; hit']
    opening = () => ({ kind: 'reply', reply: { ...instead, fields, without: ['x-gone'] } })
    const app = await boot(says, {}, [
      (c) => {
        for (const name of ['X-Front', 'X-Both', 'X-Gone']) c.set(name, 'front')
        c.set('Vary', 'A')
        c.set('Set-Cookie', 'a=1')
        c.set('Cache-Status', 'Near; fwd=miss')
      },
    ])
    const answer = await app.get('/x/1')
    const lines = ['x-front', 'x-both', 'x-gone', 'vary', 'set-cookie', 'cache-status'].map((name) =>
      answer.lines(name),
    )
    expect(lines).toEqual([['front'], ['reply'], [], ['A, B'], ['a=1', 'b=2'], ['Near; fwd=miss, Sluice; hit']])
  })

  duty(duties[3], async () => {
    opening = () => ({ kind: 'proceed', fields: ['X-One', '1', 'X-Two', '2'] })
    const answer = await (await boot(says)).get('/x/1')
    expect([answer.text, answer.header('x-one'), answer.header('x-two')]).toEqual(['said', '1', '2'])
  })

  duty(duties[4], async () => {
    const want = wanting((head) => {
      head.status = 202
      head.fields.set('X-Edited', 'yes')
      head.fields.delete('X-Own')
      return { mode: 'pass' }
    })
    opening = want.opening
    const app = await boot((c) => {
      c.set('X-Own', 'a')
      c.set('X-Stays', 'b')
      c.status(200)
      c.raw.res.statusMessage = 'Of The 200'
      says(c)
    })
    const raw = await app.client.raw('GET /x/1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
    expect(raw).toMatch(/^HTTP\/1\.1 202 Accepted\r\n/)
    want.told.length = want.heads.length = 0
    const answer = await app.get('/x/1')
    const fields = ['x-edited', 'x-own', 'x-stays'].map((name) => answer.header(name))
    expect([answer.status, answer.text, ...fields]).toEqual([202, 'said', 'yes', undefined, 'b'])
    await until(() => want.told.length > 1)
    expect(want.told).toEqual(['head', 'sent'])
    expect([want.heads[0]!.body, want.heads[0]!.length]).toEqual(['whole', 4])
  })

  duty(duties[5], async () => {
    const want = wanting({ mode: 'pass' })
    opening = want.opening
    const front = ['X-Same', 'X-Kept', 'X-Gone'] as const
    const app = await boot(
      (c) => {
        c.set('X-Same', 'front')
        c.set('X-New', 'own')
        c.remove('X-Gone')
        c.status(200)
        c.raw.res.statusMessage = 'As It Were'
        says(c)
      },
      {},
      [
        (c) => {
          for (const name of front) c.set(name, 'front')
        },
      ],
    )
    await app.get('/x/1')
    const [head] = want.heads
    expect(front.map((name) => head!.before.get(name))).toEqual(['front', 'front', 'front'])
    expect([...front, 'X-New'].map((name) => head!.fields.get(name))).toEqual(['front', 'front', undefined, 'own'])
    const written = [...front, 'X-New'].map((name) => head!.written?.has(name.toLowerCase()))
    expect([written, head!.reason]).toEqual([[true, false, true, true], 'As It Were'])
  })

  const whole: readonly (readonly [string, () => BodyPlan, string, readonly string[]])[] = [
    ['pass', () => ({ mode: 'pass' }), 'said', ['head', 'sent']],
    ['tee', () => ({ mode: 'tee', limit: 10 }), 'said', ['head', 'body said', 'sent']],
    ['hold', () => ({ mode: 'hold' }), 'held', ['head', 'body said', 'sent']],
    ['replace', () => ({ mode: 'replace', reply: instead }), 'instead', ['head', 'sent']],
    ['recode', () => ({ mode: 'recode', recode: reversed }), 'dias', ['head', 'sent']],
    ['recode later', () => ({ mode: 'recode', recode: async (b) => reversed(b) }), 'dias', ['head', 'sent']],
    ['through', () => ({ mode: 'through', transform: upper() }), 'SAID', ['head', 'sent']],
  ]
  duty(duties[6], async () => {
    for (const [name, plan, text, told] of whole) {
      const want = wanting(plan())
      opening = want.opening
      const app = await boot(says)
      expect([name, (await app.get('/x/1')).text]).toEqual([name, text])
      await until(() => want.told.length >= told.length)
      expect([name, want.told]).toEqual([name, told])
    }
  })

  const inPieces: readonly (readonly [string, () => BodyPlan, string, readonly string[]])[] = [
    ['pass', () => ({ mode: 'pass' }), 'in pieces', ['head', 'sent']],
    ['tee', () => ({ mode: 'tee', limit: 20 }), 'in pieces', ['head', 'body in pieces', 'sent']],
    ['replace', () => ({ mode: 'replace', reply: instead }), 'instead', ['head', 'sent']],
    ['through', () => ({ mode: 'through', transform: upper() }), 'IN PIECES', ['head', 'sent']],
  ]
  duty(duties[7], async () => {
    for (const [name, plan, text, told] of inPieces) {
      const want = wanting(plan())
      opening = want.opening
      const app = await boot(streams)
      expect([name, (await app.get('/x/1')).text]).toEqual([name, text])
      await until(() => want.told.length >= told.length)
      expect([name, want.told, want.heads[0]!.body, want.heads[0]!.length]).toEqual([name, told, 'pieces', undefined])
    }
  })

  duty(duties[8], async () => {
    for (const [handler, text] of [
      [streams, 'in pieces'],
      [(c: Ctx) => c.stream(pieces('one ', 'two ', 'three')), 'one two three'],
      [(c: Ctx) => c.send('long enough'), 'long enough'],
    ] as const) {
      const dropped = (): void => void want.told.push('dropped')
      const want = wanting({ mode: 'tee', limit: 6, dropped })
      opening = want.opening
      expect((await (await boot(handler)).get('/x/1')).text).toBe(text)
      await until(() => want.told.length > 2)
      expect(want.told).toEqual(['head', 'dropped', 'sent'])
    }
  })

  duty(duties[9], async () => {
    for (const plan of [{ mode: 'hold' }, { mode: 'tee', limit: 10 }] as const) {
      const bodies: Uint8Array[] = []
      const given = Buffer.from('said')
      const want = wanting(plan, {
        onBody(_, body) {
          bodies.push(body)
          return { status: 200, fields: [], body: Buffer.from(body) }
        },
      })
      opening = want.opening
      const app = await boot((c) => c.send(given))
      expect((await app.get('/x/1')).text).toBe('said')
      given.fill('x')
      expect(bodies.map(String)).toEqual(['said'])
    }
  })

  duty(duties[10], async () => {
    for (const handler of [says, streams]) {
      const ready = gate()
      let isOver = false
      opening = wanting({ mode: 'pass' }, { settled: () => ready }).opening
      const app = await boot(handler)
      const answer = app.get('/x/1').then((a) => {
        expect(isOver).toBe(true)
        return a.text
      })
      await app.arrived(1)
      for (let i = 0; i < 10; i++) await turn()
      isOver = true
      ready.open()
      expect(await answer).toBe(handler === says ? 'said' : 'in pieces')
    }
  })

  duty(duties[11], async () => {
    const never = gate()
    const sent = wanting({ mode: 'pass' })
    const aborted = wanting({ mode: 'tee', limit: 100 })
    const failed = wanting({ mode: 'tee', limit: 100 })
    const wants = [sent, aborted, failed]
    opening = () => wants.shift()!.opening()
    let run = 0
    const app = await boot((c) => {
      run++
      if (run === 1) return c.send('x')
      return c.stream(
        (async function* () {
          yield 'begun'
          if (run === 2) await never
          throw new Error('broken')
        })(),
      )
    })
    await app.get('/x/1')
    const reader = await app.open('/x/1')
    await reader.piece()
    reader.abort()
    await until(() => aborted.told.length > 1)
    await expect(app.get('/x/1')).rejects.toThrow()
    await until(() => failed.told.length > 1)
    // Plain writes to a response that is then destroyed look the same to node as a client that went away.
    const broken = host.framework === 'node' || host.framework === 'express' ? 'aborted' : 'failed'
    expect([sent.told, aborted.told, failed.told]).toEqual([
      ['head', 'sent'],
      ['head', 'aborted'],
      ['head', broken],
    ])
    never.open()
  })

  duty(duties[12], async () => {
    const read: string[] = []
    const fields = { 'x-hidden': undefined, 'x-new': 'laid over' }
    opening = wanting(
      { mode: 'pass' },
      { request: { fields, reads: { ...deaf, read: (name: string) => void read.push(name) } } },
    ).opening
    const seen: unknown[] = []
    const app = await boot((c) => {
      seen.push(c.header('x-hidden'), c.header('x-new'), c.header('x-as-it-is'))
      says(c)
    })
    await app.get('/x/1', { 'x-hidden': 'a', 'x-new': 'b', 'x-as-it-is': 'c' })
    expect(seen).toEqual([undefined, 'laid over', 'c'])
    expect(read).toEqual(expect.arrayContaining(['x-new', 'x-as-it-is']))
  })

  duty(duties[13], async () => {
    const heard: unknown[] = []
    const control = {
      ttl: (ttl: unknown) => void heard.push(ttl),
      tag: (...tags: readonly string[]) => void heard.push(tags),
      skip: (reason?: string) => void heard.push(reason),
    }
    opening = wanting({ mode: 'pass' }, { control }).opening
    const app = await boot((c) => {
      c.sluice.ttl('9s')
      c.sluice.tag('a', 'b')
      c.sluice.skip('why')
      says(c)
    })
    await app.get('/x/1')
    expect(heard).toEqual(['9s', ['a', 'b'], 'why'])
  })

  duty(duties[14], async () => {
    const order: string[] = []
    const want = wanting(
      () => {
        order.push('head')
        return { mode: 'tee', limit: 100 }
      },
      { request: { reads: deaf } },
    )
    opening = want.opening
    const app = await boot((c) =>
      c.stream(
        (async function* () {
          await turn()
          order.push('first')
          yield 'a'
          for (let i = 0; i < 10; i++) await turn()
          order.push('second')
          yield 'b'
        })(),
      ),
    )
    expect((await app.get('/x/1')).text).toBe('ab')
    expect(order).toEqual(['first', 'head', 'second'])
  })

  duty(duties[15], async () => {
    for (const [name, handler, plan] of [
      ['whole', says, { mode: 'pass' }],
      ['pieces', streams, { mode: 'tee', limit: 100 }],
    ] as const) {
      let depth = 0
      const quiet = <T>(run: () => T): T => {
        depth++
        try {
          return run()
        } finally {
          depth--
        }
      }
      const heard: boolean[] = []
      opening = wanting(plan, { quiet }).opening
      const app = await boot(handler, {}, [
        (c) => {
          // What on-headers does for sessions, compressors and loggers in front.
          const { res } = c.raw
          const { writeHead } = res
          res.writeHead = function (this: typeof res, ...args: unknown[]) {
            heard.push(depth > 0)
            return (writeHead as (...all: unknown[]) => typeof res).apply(this, args)
          } as typeof writeHead
        },
      ])
      await app.get('/x/1')
      expect([name, heard]).toEqual([name, [true]])
      expect(depth).toBe(0)
    }
  })

  duty(duties[16], async () => {
    const ticket = {}
    const tickets: unknown[] = []
    let over = false
    opening = (view) => {
      tickets.push(view.ticket)
      if (!view.ticket) void view.refresh!(ticket).then(() => (over = true))
      return { kind: 'proceed' }
    }
    const paths: string[] = []
    const app = await boot((c) => {
      paths.push(`${c.method} ${c.path}`)
      says(c)
    })
    await app.get('/x/1', { range: 'bytes=0-1' })
    await until(() => over)
    expect(tickets).toEqual([undefined, ticket])
    expect(paths).toEqual(['GET /x/1', 'GET /x/1'])
  })

  duty(duties[17], async () => {
    const fields = ['X-Wait', '7', 'Content-Type', 'text/x', 'Content-Length', '4']
    const error = new RefusalError('ERR_SLUICE_LIMITED', 'No.', { status: 420, fields })
    opening = () => ({ kind: 'error', error, reply: instead })
    const seen: unknown[] = []
    let runs = 0
    const app = await host.boot({
      routes: [{ path: '/x/:id', cache: { ttl: '1m' }, handler: () => runs++ }],
      failed: (c, given) => {
        seen.push(given)
        c.status((given as RefusalError).status).send('of the application')
      },
    })
    const answer = await app.get('/x/1')
    const said = [answer.status, answer.text, answer.header('x-wait'), answer.header('x-reply'), seen.length, runs]
    // Plain node has none: what the handler comes behind may be called with anything.
    if (host.framework === 'node') expect(said).toEqual([203, 'instead', undefined, 'yes', 0, 0])
    else expect(said).toEqual([420, 'of the application', '7', undefined, 1, 0])
    expect(seen.every((one) => one === error)).toBe(true)
  })

  duty(duties[18], async () => {
    let listening = 0
    let gone = 0
    const goesOn = gate()
    opening = (view) =>
      new Promise((resolve) => {
        const stop = view.onGone!(() => {
          gone++
          resolve({ kind: 'reply', reply: instead })
        })
        listening++
        void goesOn.then(() => {
          stop()
          resolve({ kind: 'proceed' })
        })
      })
    let runs = 0
    const app = await boot((c) => {
      runs++
      says(c)
    })
    const leaving = new AbortController()
    const left = app.request('/x/1', { signal: leaving.signal }).catch(() => 'left')
    await until(() => listening === 1)
    leaving.abort()
    await until(() => gone === 1)
    const stays = app.get('/x/1')
    await until(() => listening === 2)
    goesOn.open()
    expect([(await stays).text, await left]).toEqual(['said', 'left'])
    await turn()
    expect([gone, runs]).toEqual([1, 1])
  })
})

describe('CONTRIBUTING.md', () => {
  test('has the list of these duties, in this order', () => {
    const text = readFileSync(new URL('../../CONTRIBUTING.md', import.meta.url), 'utf8')
    const [, section = ''] = /\n## Adding an adapter\n([\s\S]*?)\n## /.exec(text) ?? []
    const listed = [...section.matchAll(/^ {3}- (.+(?:\n {5}.+)*)/gm)].map(([, line]) => line!.replace(/\s+/g, ' '))
    expect(listed).toEqual(duties)
    expect([...tried]).toEqual(duties)
  })
})
