import type { Frame, ProcessRow } from '../../src/page/contract.ts'
import { bytes, duration, none, rate, share } from '../ui/format.ts'
import { Empty, Section, Text } from '../ui/parts.tsx'
import { type Column, Table } from '../ui/table.tsx'

const columns: readonly Column<ProcessRow>[] = [
  {
    name: 'Process',
    is: 'name',
    cell: ({ host, pid, isThis, node, sluice }) => (
      <>
        <Text of={`${host}:${pid}`} most={80} />
        {isThis && <span class="badge">this one</span>}
        <p class="terms">
          Sluice <Text of={sluice} most={24} />, Node <Text of={node} most={24} />
        </p>
      </>
    ),
  },
  { name: 'Requests/s', cell: ({ requestsPerSecond }) => rate(requestsPerSecond) },
  { name: 'Hit rate', cell: ({ hitRate }) => share(hitRate) },
  { name: 'Memory', cell: ({ rssBytes }) => bytes(rssBytes) },
  { name: 'Loop delay', cell: ({ loopDelayMs }) => duration(loopDelayMs) },
  { name: 'Lag', cell: ({ lagMs }) => (lagMs === null ? none : duration(Math.max(0, lagMs))) },
  { name: 'Up for', cell: ({ uptimeMs }) => duration(Math.floor(uptimeMs / 1000) * 1000) },
  { name: 'Heard', cell: ({ ageMs }) => `${Math.max(0, Math.round(ageMs / 1000))} s ago` },
]

export function Processes({ frame }: { readonly frame: Frame }) {
  const { processes, joined } = frame
  const versions = new Set(processes.map(({ sluice }) => sluice))
  return (
    <Section
      id="processes"
      title="Processes"
      hint={
        joined
          ? 'Those that share the store. Lag is how far one is behind with what others purged.'
          : 'Only the one that has answered: without Redis, processes do not know each other.'
      }
    >
      {versions.size > 1 && <p class="notice">They run {versions.size} versions of Sluice.</p>}
      {processes.length === 0 ? (
        <Empty>No process has reported yet. Each does so within some seconds of its start.</Empty>
      ) : (
        <Table caption="Processes" columns={columns} rows={processes} id={({ id }) => id} />
      )}
    </Section>
  )
}
