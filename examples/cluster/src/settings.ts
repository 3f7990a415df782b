import { type Settings as ApiSettings, readSettings as readApiSettings } from '@sluice-examples/cities-api/settings'
import { StartError } from '@sluice-examples/cities-api/start-error'

export interface Settings {
  readonly api: ApiSettings
  /** How many processes answer. */
  readonly processes: number
  /** What stands in front of them: nginx where it is installed, unless one is named. */
  readonly front: 'nginx' | 'node' | undefined
}

/** What the command line and the environment ask for. @throws StartError where that makes no sense */
export function readSettings(args: readonly string[], env: NodeJS.ProcessEnv): Settings {
  const processes = Number(env.PROCESSES || '3')
  if (!Number.isInteger(processes) || processes < 1 || processes > 64) {
    throw new StartError(`PROCESSES must be a number from 1 to 64, not "${env.PROCESSES}".`)
  }
  const front = env.FRONT || undefined
  if (front !== undefined && front !== 'nginx' && front !== 'node') {
    throw new StartError(`FRONT must be nginx or node, not "${front}".`)
  }
  // By number: nginx and the processes must mean the same address.
  return { api: readApiSettings(args, { HOST: '127.0.0.1', ...env }), processes, front }
}
