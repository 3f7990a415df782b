import { spawnSync } from 'node:child_process'

const canPin = spawnSync('taskset', ['-c', '0', 'true']).status === 0

/** Keeps a process, with all its threads, to one core, where the system can do that. */
export function pin(pid, core) {
  if (canPin) spawnSync('taskset', ['-acp', String(core), String(pid)])
}
