import { post } from '../news/server.ts'
import { ask, type Field } from '../ui/ask.tsx'
import { Text } from '../ui/parts.tsx'

const key: Field = {
  name: 'key',
  label: 'Key',
  hint: 'The key itself, not its hash: an address such as 192.0.2.1, or the name of a user.',
}

const of = (policy: string, text: string) => (
  <p>
    Policy <Text of={policy} most={80} />. {text}
  </p>
)

/** Asks for a key, and forgets what a policy has counted for it. */
export function resetKey(policy: string): void {
  ask({
    title: 'Reset a key',
    text: of(policy, 'What was counted for the key is forgotten: it begins anew.'),
    fields: [key],
    go: 'Reset',
    run: async ({ key = '' }) => {
      await post('/limits/reset', { policy, key: key.trim() })
      return `Reset: ${key.trim()} of policy ${policy}.`
    },
  })
}

/** Asks for a key, and shuts it out. */
export function banKey(policy: string): void {
  ask({
    title: 'Ban a key',
    text: of(policy, 'The key is refused wherever this policy stands, until the time is over or the ban is lifted.'),
    fields: [
      key,
      { name: 'for', label: 'For how long', hint: 'Such as 10m, 1h, 7d', value: '1h' },
      { name: 'reason', label: 'Reason', hint: 'For those who look at the list of bans.', optional: true },
    ],
    go: 'Ban',
    run: async ({ key = '', for: time = '', reason = '' }) => {
      const why = reason.trim()
      await post('/bans/add', { policy, key: key.trim(), for: time.trim(), ...(why !== '' && { reason: why }) })
      return `Banned: ${key.trim()} from policy ${policy} for ${time.trim()}.`
    },
  })
}

/** Asks, and lifts the ban of who has this subject. */
export function liftBan(policy: string, subject: string, then: () => void): void {
  ask({
    title: 'Lift this ban?',
    text: of(policy, 'The key is let in again at once.'),
    fields: [],
    go: 'Lift the ban',
    run: async () => {
      const { lifted } = await post<{ readonly lifted: boolean }>('/bans/lift', { policy, subject })
      then()
      return lifted ? `The ban from policy ${policy} is lifted.` : `There was no ban from policy ${policy} any more.`
    },
  })
}
