import type { Memory as Sizes } from '../../src/page/contract.ts'
import { bytes, count } from '../ui/format.ts'
import { Bar, Section } from '../ui/parts.tsx'

export function Memory({ memory }: { readonly memory: Sizes }) {
  const { server } = memory
  return (
    <Section id="memory" title="Memory" hint="Where the cap is reached, what was used longest ago leaves first.">
      <dl class="facts">
        <Fill name="Stored answers" used={memory.bytes} of={memory.maxBytes} />
        {server && <Fill name="Redis server" used={server.usedBytes} of={server.maxBytes} />}
        <Fact name="Answers" value={count(memory.entries)} />
        <Fact name="Left for lack of room" value={count(memory.evictions)} bad={false} />
        {server && <Fact name="Evicted by Redis" value={count(server.evictedKeys)} bad={server.evictedKeys > 0} />}
        <Fact name="Keys of limits" value={count(memory.limitKeys)} />
        <Fact
          name="Breakers open"
          value={memory.breakersOpen === 0 ? 'none' : `${count(memory.breakersOpen)}: the store is not asked for now`}
          bad={memory.breakersOpen > 0}
        />
      </dl>
    </Section>
  )
}

function Fill({ name, used, of }: { readonly name: string; readonly used: number; readonly of: number }) {
  return (
    <div class="fill">
      <dt>{name}</dt>
      <dd>
        {of > 0 ? `${bytes(used)} of ${bytes(of)}` : `${bytes(used)}, no cap known`}
        <Bar part={of > 0 ? used / of : 0} />
      </dd>
    </div>
  )
}

function Fact({ name, value, bad = false }: { readonly name: string; readonly value: string; readonly bad?: boolean }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd class={bad ? 'caution' : undefined}>{value}</dd>
    </div>
  )
}
