import type { ServerResponse } from 'node:http'
import { nodeResponse } from './known-objects.ts'
import { watchObject } from './object.ts'
import type { RequestWatch } from './request-watch.ts'
import { watchSetFields } from './set-fields.ts'
import type { KnownObject } from './state.ts'

const res = nodeResponse('res')

/**
 * Tells what is read on a response of what middleware in front has put there.
 *
 * @param known - how the framework calls it. Default: `res`
 */
export function watchResponse(watch: RequestWatch, response: ServerResponse, known: KnownObject = res): void {
  watchObject(watch, response, known)
  watchSetFields(watch, response, known.root)
}
