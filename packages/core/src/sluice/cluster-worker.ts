/**
 * Warns that limits hold for each process of a cluster by itself, where this process is one of them. The module is asked
 * for and not imported: whoever runs without it has it not loaded.
 */
export function warnWorker(): void {
  const { worker } = process.getBuiltinModule('node:cluster') as unknown as { worker?: { id: number } }
  if (!worker) return
  process.emitWarning(
    `sluice: limits are counted in the memory of this process, which is worker ${worker.id} of a cluster: each worker admits the whole limit. Give them one count with \`backend: redis(url)\`, or each its share.`,
    { type: 'SluiceWarning', code: 'SLUICE_LIMITS_PER_WORKER' },
  )
}
