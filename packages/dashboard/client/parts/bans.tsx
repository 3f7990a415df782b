import { get } from '../news/server.ts'
import { clock, duration, count as figure } from '../ui/format.ts'
import { Button, Empty, Text } from '../ui/parts.tsx'
import { Table } from '../ui/table.tsx'
import { useAsked, useInView, useNow } from '../ui/use.ts'
import { liftBan } from './keys.tsx'

/** As `GET /bans` tells of it. */
interface Ban {
  readonly policy: string
  readonly subject: string
  readonly until: string
  readonly times: number
  readonly byHand: boolean
  readonly reason?: string
}

const everyMs = 10_000
const most = 100

/** Those that hold. The list is for who may lift them; else it is a figure. */
export function Bans({ count, may, gone }: { readonly count: number; readonly may: boolean; readonly gone: boolean }) {
  const [ref, seen] = useInView<HTMLDivElement>()
  const ask = () => get<{ readonly bans: readonly Ban[] }>('/bans')
  const { answer, trouble, again } = useAsked(ask, String(count), everyMs, may && seen && !gone)
  const now = useNow(5_000)
  const bans = (may && answer?.bans) || []
  return (
    <div ref={ref}>
      {trouble !== undefined && !gone && <p class="trouble">{trouble}</p>}
      {bans.length === 0 ? (
        <Empty>{count === 0 ? 'Nobody is shut out.' : `${figure(count)} keys are shut out.`}</Empty>
      ) : (
        <Table
          caption="Bans that hold"
          columns={[
            {
              name: 'Policy',
              is: 'name',
              cell: ({ policy, subject, reason, byHand, times }: Ban) => (
                <>
                  <Text of={policy} most={60} /> <code class="muted">{subject.slice(0, 10)}</code>
                  <p class="terms">
                    {byHand ? 'By hand' : `By refusals, ${times === 1 ? 'the first time' : `${times} times by now`}`}
                    {reason !== undefined && (
                      <>
                        : <Text of={reason} />
                      </>
                    )}
                  </p>
                </>
              ),
            },
            {
              name: 'Over in',
              cell: ({ until }: Ban) => (
                <time dateTime={until} title={clock(Date.parse(until))}>
                  {duration(Math.max(0, Math.round((Date.parse(until) - now) / 1000) * 1000))}
                </time>
              ),
            },
            {
              name: 'Actions',
              is: 'actions',
              cell: ({ policy, subject }: Ban) => (
                <Button of={`the ban from ${policy}`} onClick={() => liftBan(policy, subject, again)}>
                  Lift…
                </Button>
              ),
            },
          ]}
          rows={bans.slice(0, most)}
          id={({ policy, subject }) => `${policy} ${subject}`}
        />
      )}
      {bans.length > most && <p class="hint">{`The first ${most} of ${figure(bans.length)}.`}</p>}
    </div>
  )
}
