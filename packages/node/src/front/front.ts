import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import { checkOptions, type FrontAccess, type FrontAnswer, isPromise, rule } from '@sluice/core'
import { ticketOf } from '../refresh/refresh.ts'
import { endingOf } from '../response/ending.ts'
import { sendReply } from '../response/send-reply.ts'
import { FrontView } from './front-view.ts'
import { takesOneBuffer, writeOneBuffer } from './one-buffer.ts'
import { notePlace, placeOf } from './place.ts'
import { oneBufferWorks } from './self-test.ts'

/** What `sluice.front(app, options)` is given. */
export interface FrontOptions {
  /**
   * Write an answer, head and body, in one piece past `writeHead`: a third less work. Only where a test at start-up has shown that
   * this Node sends the same bytes. Default `true`.
   */
  oneBuffer?: boolean | undefined
}

/**
 * Puts the door in front of an application.
 *
 * @throws SluiceError when an option is wrong
 */
export function frontListener(
  access: FrontAccess,
  handler: RequestListener,
  options: FrontOptions = {},
): RequestListener {
  checkOptions<FrontOptions>('front', options, { oneBuffer: rule.boolean })
  const { door } = access
  door.isOpen = true
  let inOnePiece = false
  if (options.oneBuffer !== false) {
    void oneBufferWorks().then((works) => {
      inOnePiece = works
    })
  }

  const send = (view: FrontView, answer: FrontAnswer, request: IncomingMessage, response: ServerResponse): void => {
    const { reply, exchanges, hit } = answer
    if (exchanges.length > 0) {
      endingOf(response, (outcome) => {
        for (const exchange of exchanges) exchange.onClose(outcome)
      })
    }
    const isHead = request.method === 'HEAD'
    if (inOnePiece && hit && takesOneBuffer(response, reply)) writeOneBuffer(response, reply, isHead)
    else sendReply(response, reply, view.method)
    access.told(view, answer, { request, response })
  }

  return function front(request, response) {
    const name = placeOf(request)
    const place = mayAnswer(request) ? door.place(name) : undefined
    if (place) {
      const view = new FrontView(request, response, handler, place.seenAs)
      const answer = door.answer(view, place)
      if (isPromise(answer)) {
        answer.then(
          (given) => (given ? send(view, given, request, response) : go(request, response, name)),
          () => go(request, response, name),
        )
        return
      }
      if (answer) {
        send(view, answer, request, response)
        return
      }
    }
    go(request, response, name)
  }

  function go(request: IncomingMessage, response: ServerResponse, place: string): void {
    notePlace(request, place)
    handler(request, response as never)
  }
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
