/**
 * Where a stored form keeps its head as it was rendered last. Only `lookup/reply.ts` looks there; whoever makes forms that
 * are kept sets the place aside, for one that is added later takes five times the room.
 */
export const rendered = Symbol('sluice.rendered')
