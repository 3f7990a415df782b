import type { RequestContext } from '../context.ts'

/** The methods that servers know (the IANA registry, and what Node's parser takes besides). */
const methods = new Set(
  (
    'ACL BASELINE-CONTROL BIND CHECKIN CHECKOUT CONNECT COPY DELETE GET LABEL LINK LOCK M-SEARCH MERGE MKACTIVITY ' +
    'MKCALENDAR MKCOL MKREDIRECTREF MKWORKSPACE MOVE NOTIFY OPTIONS ORDERPATCH PATCH POST PROPFIND PROPPATCH PURGE PUT QUERY ' +
    'REBIND REPORT SEARCH SOURCE SUBSCRIBE TRACE UNBIND UNCHECKOUT UNLINK UNLOCK UNSUBSCRIBE UPDATE UPDATEREDIRECTREF ' +
    'VERSION-CONTROL'
  ).split(' '),
)

/**
 * What a limit that is split by route calls a method: HEAD is GET, and methods that somebody made up are one, or who makes
 * them up would get a fresh limit with each (HTTP/2 lets any through).
 */
export function routeMethod(method: string): string {
  if (method === 'HEAD') return 'GET'
  return methods.has(method) ? method : '?'
}

/** Method and matched pattern, as parts of a key: what `by.route` and `per: 'route'` tell routes apart by. */
export function routeParts(c: Pick<RequestContext, 'method' | 'route'>): readonly [string, string | undefined] {
  return [routeMethod(c.method), c.route]
}
