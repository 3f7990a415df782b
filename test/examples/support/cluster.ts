import { execFileSync } from 'node:child_process'
import { ask } from '../../../examples/cluster/src/ask.ts'
import { until } from '../../support/redis-server.ts'
import { Program } from './program.ts'

interface Process {
  readonly pid: number
  readonly parent: number
  readonly command: string
}

/** The example cluster as a child process, with all that it has started. */
export class Cluster {
  readonly program: Program
  readonly base: string
  readonly #seen = new Map<number, string>()

  private constructor(program: Program, base: string) {
    this.program = program
    this.base = base
    this.processes()
  }

  static async start(framework: string, env: Readonly<Record<string, string>>): Promise<Cluster> {
    const program = new Program('cluster/src/main.ts', [framework], { PORT: '0', ...env })
    try {
      return new Cluster(program, (await program.said(/listen on (\S+)\n[\s\S]*Ctrl-C/))[1]!)
    } catch (error) {
      await program.end('SIGKILL')
      throw error
    }
  }

  /** All that it has started and that is running now. */
  processes(): readonly Process[] {
    const all = running()
    const mine = new Set([this.program.pid])
    // A child has often, but not always, the higher number.
    for (let size = 0; size !== mine.size; ) {
      size = mine.size
      for (const { pid, parent } of all) if (mine.has(parent)) mine.add(pid)
    }
    mine.delete(this.program.pid)
    const found = all.filter(({ pid }) => mine.has(pid))
    for (const { pid, command } of found) this.#seen.set(pid, command)
    return found
  }

  /** Which processes answer: as many as are asked for. */
  async answering(count: number): Promise<Set<number>> {
    const pids = new Set<number>()
    await until(async () => pids.add(Number((await ask(`${this.base}/`)).by)).size === count)
    return pids
  }

  /** Ends it and whatever it has left behind, which may still hold the other end of its output. */
  async end(): Promise<void> {
    this.processes()
    const ended = this.program.end('SIGKILL')
    for (const { pid, command } of running()) if (this.#seen.get(pid) === command) kill(pid)
    await ended
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It has ended meanwhile.
  }
}

/** What runs on this machine. A process that has ended and that nobody has asked about since does not run. */
export function running(): readonly Process[] {
  const lines = execFileSync('ps', ['-A', '-o', 'pid=,ppid=,stat=,args='], { encoding: 'utf8' }).split('\n')
  return lines.flatMap((line) => {
    const [, pid, parent, state, command] = /^\s*(\d+)\s+(\d+)\s+(\S+)\s+(.*)$/.exec(line) ?? []
    return state === undefined || state.startsWith('Z')
      ? []
      : [{ pid: Number(pid), parent: Number(parent), command: command! }]
  })
}
