import type { ComponentChildren } from 'preact'
import type { Why } from '../../src/page/contract.ts'
import { plain } from './format.ts'

interface SectionProps {
  readonly id: string
  readonly title: string
  readonly hint?: ComponentChildren
  readonly tools?: ComponentChildren
  readonly children: ComponentChildren
}

export function Section({ id, title, hint, tools, children }: SectionProps) {
  return (
    <section id={id} aria-labelledby={`${id}-title`}>
      <header>
        <h2 id={`${id}-title`} tabIndex={-1}>
          {title}
        </h2>
        {tools && <div class="tools">{tools}</div>}
        {hint && <p class="hint">{hint}</p>}
      </header>
      {children}
    </section>
  )
}

/** What stands where there is nothing yet: what would bring something there. */
export const Empty = ({ children }: { readonly children: ComponentChildren }) => <p class="empty">{children}</p>

const longest = 240

/**
 * A text that others wrote, such as a URL: apart from the direction of what stands round it, with what is unseen in it shown,
 * and no longer than can be read.
 */
export function Text({ of, most = longest }: { readonly of: string; readonly most?: number }) {
  if (of.length <= most) return <bdi class="text">{plain(of)}</bdi>
  return (
    <bdi class="text" title={plain(of.slice(0, 2_000))}>
      {plain(of.slice(0, most))}… <i>({of.length.toLocaleString('en')} characters)</i>
    </bdi>
  )
}

/** A text with code between backticks. */
export const Marked = ({ of }: { readonly of: string }) => (
  <>
    {of
      .slice(0, 2_000)
      .split('`')
      .map((part, index) => (index % 2 === 1 ? <code>{plain(part)}</code> : plain(part)))}
  </>
)

/** Why an answer is not stored, and what to do. */
export const WhyNot = ({ why }: { readonly why: Why }) => (
  <p class="why">
    <span>
      Last answer not stored: <code>{plain(why.reason.slice(0, 120))}</code>. <Marked of={why.cause} />
    </span>{' '}
    <span class="remedy">
      <Marked of={why.remedy} />
    </span>
  </p>
)

/** How full something is. The figure stands beside it. */
export function Bar({ part }: { readonly part: number }) {
  const width = Math.max(0, Math.min(1, part)) * 100
  return (
    <svg class={part >= 0.9 ? 'bar full' : 'bar'} viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true">
      <rect class="all" width="100" height="4" />
      <rect class="part" width={width} height="4" />
    </svg>
  )
}

interface ButtonProps {
  /** What it is about, for who does not see the row that it stands in. */
  readonly of?: string
  readonly onClick: () => void
  readonly danger?: boolean
  readonly children: string
}

export const Button = ({ of, onClick, danger, children }: ButtonProps) => (
  <button type="button" class={danger ? 'danger' : undefined} onClick={onClick}>
    {children}
    {of && <span class="unseen"> {plain(of.slice(0, 120))}</span>}
  </button>
)
