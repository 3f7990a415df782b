import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

const beside = (name: string): string => new URL(`./${name}`, import.meta.url).href

/** `npm test` has compiled everything by now, and says so: then it is what `npm start` runs that is tested. */
const isBuilt = process.env.SLUICE_BUILT === '1'

/** For programs that run for seconds it costs more to compile PGlite a second time, and better, than that saves. */
const baselineWasm = '--liftoff-only'

/** Node's arguments for a program of `examples/`: of what was built of it, else of its sources, which takes five times as long to start. */
function argumentsFor(main: string): string[] {
  const path = isBuilt ? main.replace('/src/', '/dist/').replace(/\.ts$/, '.js') : main
  const file = fileURLToPath(new URL(`../../../examples/${path}`, import.meta.url))
  return isBuilt
    ? ['--no-warnings', baselineWasm, '--import', beside('end-with-test.mjs'), file]
    : ['--no-warnings', baselineWasm, '--conditions=sluice-source', '--import', beside('run-typescript.mjs'), file]
}

/** A program of `examples/` as a child process. */
export class Program {
  readonly #child: ChildProcess
  readonly #ended: Promise<unknown>
  #output = ''
  #errors = ''

  /** @param main path below `examples/` */
  constructor(main: string, args: readonly string[], env: Readonly<Record<string, string>>) {
    this.#child = spawn(process.execPath, [...argumentsFor(main), ...args], {
      env: { PATH: process.env.PATH ?? '', ...env },
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    this.#ended = once(this.#child, 'close')
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.#output += text
      this.#child.emit('said')
    })
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#errors += text
    })
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  get output(): string {
    return this.#output
  }

  get errors(): string {
    return this.#errors
  }

  /** Waits for a line. @throws what the program said, where it ends without it */
  async said(pattern: RegExp): Promise<RegExpExecArray> {
    let hasEnded = false
    const ended = this.#ended.then(() => {
      hasEnded = true
    })
    for (;;) {
      const found = pattern.exec(this.#output)
      if (found) return found
      if (hasEnded) throw new Error(`It ended without saying ${pattern}:\n${this.#output}${this.#errors}`)
      await Promise.race([once(this.#child, 'said'), ended])
    }
  }

  /** Sends a signal, where one is given, and waits for the end. Answers the exit code; null where the signal ended it. */
  async end(signal?: NodeJS.Signals): Promise<number | null> {
    if (signal) this.#child.kill(signal)
    await this.#ended
    return this.#child.exitCode
  }
}
