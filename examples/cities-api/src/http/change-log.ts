import type { City } from '../data/cities.ts'

/** One line per change. No client waits for it: the servers `defer` it. */
export function logChange({ id, name, population }: City): void {
  console.log(`PATCH /cities/${id}: now ${name}, ${population} people`)
}
