import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { cp, mkdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/*
 * What a start of cities-api has stored is kept between runs, by what made it: creating a database and loading 135,000 rows
 * takes twenty seconds of a core. Whoever tests a first start begins with nothing, and leaves what it made here; whoever needs a
 * database, and not its making, takes a copy, where there is one.
 */
const root = fileURLToPath(new URL('../../..', import.meta.url))
const sources = join(root, 'examples', 'cities-api', 'src', 'data')
const kept = join(root, 'node_modules', '.cache', 'sluice-cities', nameOfState())

function nameOfState(): string {
  const hash = createHash('sha256').update(readFileSync(join(root, 'pnpm-lock.yaml')))
  for (const name of readdirSync(sources).sort()) hash.update(`\0${name}\0`).update(readFileSync(join(sources, name)))
  return hash.digest('hex')
}

/** Keeps a DATA_DIR as the program left it that loaded it, and that has ended in order. */
export async function keepCities(directory: string): Promise<void> {
  if (existsSync(kept)) return
  await mkdir(join(kept, '..'), { recursive: true })
  for (const name of readdirSync(join(kept, '..'))) {
    // Of another state; one with a process in its name is still being written.
    if (!name.includes('.')) await rm(join(kept, '..', name), { recursive: true, force: true })
  }
  // Nobody may find half of it.
  const own = `${kept}.${process.pid}`
  await cp(directory, own, { recursive: true })
  // Another run may have been faster.
  await rename(own, kept).catch(() => rm(own, { recursive: true, force: true }))
}

/** Makes a directory a DATA_DIR that has been loaded; one that is yet to be loaded where none was kept. */
export async function takeCities(directory: string): Promise<void> {
  if (existsSync(kept)) await cp(kept, directory, { recursive: true })
}
