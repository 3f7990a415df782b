import { isPromise, type LimitPipeline, type Opening, type Pipeline } from '@sluice/core'
import { FastifyView } from '../request/fastify-view.ts'

/**
 * A limit that is asked in onRequest, and that says so when one of its functions reads what only later hooks bring: the
 * key of everybody is then the same, and everybody shares one bucket. Who has said the policy's phase knows what is there.
 *
 * @param where - for the message: whose limit it is
 */
export function watchEarlyReads(pipeline: LimitPipeline, where: string): Pipeline {
  if (pipeline.phaseGiven) return pipeline
  const told = new Set<string>()
  const tell = (name: string): void => {
    if (told.has(name)) return
    told.add(name)
    process.emitWarning(
      `A function of the limit ${where} read \`${name}\` of the request, and there was none. Before authentication and the body ` +
        "parser there never is: give its policy `phase: 'preHandler'`. If your own hook in front of it has done its work, and " +
        "there was rightly none, say `phase: 'onRequest'`.",
      { code: 'SLUICE_LIMIT_PHASE' },
    )
  }
  return {
    name: pipeline.name,
    open(view) {
      if (!(view instanceof FastifyView)) return pipeline.open(view)
      view.missing = tell
      const opening = pipeline.open(view)
      if (isPromise(opening)) return opening.then((o) => unwatched(view, o))
      return unwatched(view, opening)
    },
  }
}

/** What is read of the request when its response is there, by `countIf`, is there or it is not. */
function unwatched(view: FastifyView, opening: Opening): Opening {
  view.missing = undefined
  return opening
}
