import type { FastifyReply, FastifyRequest } from 'fastify'
import { askStages, exchangesOf, type Stage } from '../stages/exchanges.ts'

/** A hook that asks stages, and ends there where one of them answers. */
export function makeHook(name: string, stagesOf: (request: FastifyRequest) => readonly Stage[]) {
  const hook = (request: FastifyRequest, reply: FastifyReply, done: (error?: Error) => void): void => {
    const go = askStages(stagesOf(request), request, reply)
    if (go === true) goOn(reply, done)
    else if (go !== false) goOnLater(go, reply, done)
  }
  return Object.defineProperty(hook, 'name', { value: name })
}

function goOnLater(go: PromiseLike<boolean>, reply: FastifyReply, done: (error?: Error) => void): void {
  const next = go.then((on) => {
    if (on) goOn(reply, done)
  })
  next.then(undefined, done)
}

function goOn(reply: FastifyReply, done: () => void): void {
  const within = exchangesOf(reply)?.within
  if (within) within(done)
  else done()
}
