import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import {
  checkOptions,
  type FrontAccess,
  type FrontAnswer,
  isPromise,
  type Opening,
  type Pipeline,
  type PolicyInput,
  rule,
} from '@sluice/core'
import { ticketOf } from '../refresh/refresh.ts'
import { endingOf } from '../response/ending.ts'
import { sendReply, setFields } from '../response/send-reply.ts'
import { FrontView } from './front-view.ts'
import { takesOneBuffer, writeOneBuffer } from './one-buffer.ts'
import { notePlace, placeOf } from './place.ts'
import { oneBufferWorks } from './self-test.ts'

/** What `sluice.front(app, options)` is given. */
export interface FrontOptions {
  /**
   * Policies that all requests are charged by first, before the application has seen them: names, rates or policies whose
   * key is told by the raw request (`by.ip`, `by.header`, `by.cookie`). A `sluice.limit(...)` of the same name further on does not
   * charge again. Default: none.
   */
  limit?: PolicyInput | readonly PolicyInput[] | undefined
  /**
   * Write an answer, head and body, in one piece past `writeHead`: a third less work. Only where a test at start-up has shown
   * that this Node sends the same bytes. Default `true`.
   */
  oneBuffer?: boolean | undefined
}

/** What is put in front of what. */
export interface FrontOf {
  readonly access: FrontAccess
  readonly handler: RequestListener
  /** The client's address of a raw request, as the framework tells it. Default: that of the connection. */
  readonly addressOf?: ((request: object) => string | undefined) | undefined
}

const nothing: readonly never[] = Object.freeze([])

/**
 * Puts the door in front of an application.
 *
 * @throws SluiceError when an option is wrong
 */
export function frontListener({ access, handler, addressOf }: FrontOf, options: FrontOptions = {}): RequestListener {
  checkOptions<FrontOptions>('front', options, {
    limit: rule.either(rule.string, rule.object),
    oneBuffer: rule.boolean,
  })
  const { door } = access
  const { limit } = options
  const gate = limit === undefined ? undefined : access.limit((Array.isArray(limit) ? limit : [limit]) as PolicyInput[])
  door.open()
  let inOnePiece = false
  if (options.oneBuffer !== false) {
    void oneBufferWorks().then((works) => {
      inOnePiece = works
    })
  }

  return function front(request, response) {
    if (gate && ticketOf(request) === undefined) charge(gate, request, response)
    else pass(request, response, nothing)
  }

  function charge(stage: Pipeline, request: IncomingMessage, response: ServerResponse): void {
    const view = new FrontView({ request, response, handler, seenAs: undefined, addressOf })
    const opening = stage.open(view)
    const opened = (made: Opening): void => {
      if (made.kind !== 'proceed') {
        send(view, { reply: made.reply, exchanges: nothing, hit: false }, nothing)
        return
      }
      const { fields = nothing, exchange } = made
      if (exchange) endingOf(response, (outcome) => exchange.onClose(outcome))
      pass(request, response, fields)
    }
    if (isPromise(opening)) opening.then(opened, () => pass(request, response, nothing))
    else opened(opening)
  }

  function pass(request: IncomingMessage, response: ServerResponse, added: readonly string[]): void {
    const name = placeOf(request)
    const place = mayAnswer(request) ? door.place(name) : undefined
    const go = (): void => {
      notePlace(request, name, added)
      setAll(response, added)
      handler(request, response as never)
    }
    if (!place) {
      go()
      return
    }
    const view = new FrontView({ request, response, handler, seenAs: place.seenAs, addressOf })
    const given = (answer: FrontAnswer | undefined): void => (answer ? send(view, answer, added) : go())
    const answer = door.answer(view, place)
    if (isPromise(answer)) answer.then(given, go)
    else given(answer)
  }

  function send(view: FrontView, answer: FrontAnswer, added: readonly string[]): void {
    const { reply, exchanges, hit } = answer
    const { incoming: request, outgoing: response } = view
    const isWatched = watchesEnd(response)
    if (exchanges.length > 0) {
      endingOf(response, (outcome) => {
        for (const exchange of exchanges) exchange.onClose(outcome)
      })
    }
    setAll(response, added)
    if (isWatched) {
      setFields(response, reply.fields)
      sendReply(response, { ...reply, fields: nothing }, view.method)
    } else if (inOnePiece && hit && takesOneBuffer(response, reply))
      writeOneBuffer(response, reply, view.method === 'HEAD')
    else sendReply(response, reply, view.method)
    access.told(view, answer, { request, response })
  }
}

/**
 * Whether somebody in front of the door waits for the end of the response: loggers, and they ask for its fields then. Node forgets
 * those that are written as a list. It has one listener itself.
 */
const watchesEnd = (response: ServerResponse): boolean =>
  response.listenerCount('finish') > 1 || response.listenerCount('close') > 1

function setAll(response: ServerResponse, fields: readonly string[]): void {
  for (let i = 0; i < fields.length; i += 2) response.setHeader(fields[i]!, fields[i + 1]!)
}

/** A plain question, without a body and without conditions that are the origin's to evaluate. */
function mayAnswer(request: IncomingMessage): boolean {
  const { method, headers } = request
  return (
    (method === 'GET' || method === 'HEAD') &&
    headers['content-length'] === undefined &&
    headers['transfer-encoding'] === undefined &&
    headers.expect === undefined &&
    headers.upgrade === undefined &&
    headers['if-match'] === undefined &&
    headers['if-unmodified-since'] === undefined &&
    ticketOf(request) === undefined
  )
}
