import type { Frame, PolicyRow, RefusedKey, ShedRow } from '../../src/page/contract.ts'
import { count, none } from '../ui/format.ts'
import { Bar, Button, Empty, Section, Text } from '../ui/parts.tsx'
import { type Column, Table } from '../ui/table.tsx'
import { Bans } from './bans.tsx'
import { banKey, resetKey } from './keys.tsx'

const levels = ['nothing is refused', 'sheddable requests are refused', 'default ones too', 'critical ones too']

export function Limits({ frame, gone }: { readonly frame: Frame; readonly gone: boolean }) {
  const { policies, refusedKeys, shed, bans, actions } = frame
  const may = { reset: actions.includes('limits'), ban: actions.includes('bans') }
  return (
    <Section
      id="limits"
      title="Limits"
      hint="Policies, and who they refuse. A key is whom a policy counts: an address, a user."
    >
      {policies.length === 0 && shed.length === 0 ? (
        <Empty>
          No limit has counted anything yet. Put <code>sluice.limit('100/min')</code> in front of a route.
        </Empty>
      ) : (
        <>
          {policies.length > 0 && (
            <Table caption="Policies" columns={policyColumns(may)} rows={policies} id={({ policy }) => policy} />
          )}
          {shed.length > 0 && (
            <>
              <h3>
                Load shedding <span class="hint">what is refused so that the rest stays fast</span>
              </h3>
              <Table caption="Load shedding" columns={shedColumns} rows={shed} id={({ stage }) => String(stage)} />
            </>
          )}
          <div class="columns two">
            <div class="part">
              <h3>
                Refused most <span class="hint">in the last minutes</span>
              </h3>
              {refusedKeys.length === 0 ? (
                <Empty>Nobody was refused in the last minutes.</Empty>
              ) : (
                <Table
                  caption="Keys that were refused most"
                  columns={[
                    { name: 'Key', is: 'name', cell: ({ key }: RefusedKey) => <Text of={key} most={80} /> },
                    { name: 'Policy', is: 'text', cell: ({ policy }: RefusedKey) => <Text of={policy} most={60} /> },
                    { name: 'Refused', cell: (row: RefusedKey) => count(row.count) },
                  ]}
                  rows={refusedKeys}
                  id={({ policy, key }) => `${policy} ${key}`}
                />
              )}
            </div>
            <div class="part">
              <h3>
                Bans <span class="hint">keys that are shut out for a while</span>
              </h3>
              <Bans count={bans} may={may.ban} gone={gone} />
            </div>
          </div>
        </>
      )}
    </Section>
  )
}

const policyColumns = (may: { readonly reset: boolean; readonly ban: boolean }): Column<PolicyRow>[] => [
  { name: 'Policy', is: 'name', cell: ({ policy }) => <Text of={policy} most={80} /> },
  { name: 'Let through', cell: ({ allowed }) => count(allowed) },
  { name: 'Refused', cell: ({ refused }) => count(refused) },
  { name: 'By bans', cell: ({ banRefused }) => count(banRefused) },
  { name: 'In shadow', cell: ({ shadowRefused }) => count(shadowRefused) },
  { name: 'Delayed', cell: ({ delayed }) => count(delayed) },
  {
    name: 'In use',
    cell: ({ occupancy }) =>
      occupancy ? (
        <>
          {count(occupancy.busiest)} of {count(occupancy.of)}{' '}
          <Bar part={occupancy.busiest / Math.max(1, occupancy.of)} />
          {occupancy.out > occupancy.busiest && <span class="hint">{count(occupancy.out)} of all keys</span>}
        </>
      ) : (
        none
      ),
  },
  ...(may.reset || may.ban
    ? [
        {
          name: 'Actions',
          is: 'actions',
          cell: ({ policy }: PolicyRow) => (
            <>
              {may.reset && (
                <Button of={`a key of policy ${policy}`} onClick={() => resetKey(policy)}>
                  Reset…
                </Button>
              )}{' '}
              {may.ban && (
                <Button of={`a key from policy ${policy}`} onClick={() => banKey(policy)}>
                  Ban…
                </Button>
              )}
            </>
          ),
        } as const,
      ]
    : []),
]

const shedColumns: Column<ShedRow>[] = [
  { name: 'Stage', is: 'name', cell: ({ stage }) => `Stage ${stage}` },
  { name: 'Level', is: 'text', cell: ({ level }) => `${level}: ${levels[level] ?? ''}` },
  { name: 'Let through', cell: ({ admitted }) => count(admitted) },
  { name: 'Refused', cell: ({ refused }) => count(refused) },
  {
    name: 'In flight',
    cell: ({ inFlight, limit }) =>
      `${inFlight === null ? none : count(inFlight)}${limit === null ? '' : ` of ${count(limit)}`}`,
  },
]
