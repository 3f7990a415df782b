import { useEffect, useRef, useState } from 'preact/hooks'

/** The value, but a new one not more often than each `ms`: for who listens to the page. */
export function useCalm<T>(value: T, ms: number): T {
  const [calm, setCalm] = useState(value)
  const newest = useRef(value)
  newest.current = value
  useEffect(() => {
    const timer = setInterval(() => setCalm(() => newest.current), ms)
    return () => clearInterval(timer)
  }, [ms])
  return calm
}

/** Moves on each `ms` while the page is seen. */
export function useNow(ms: number): number {
  const [now, setNow] = useState(Date.now)
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), ms)
    return () => clearInterval(timer)
  }, [ms])
  return now
}

/** Whether the element stands where somebody can see it, or nearly. */
export function useInView<E extends Element>() {
  const ref = useRef<E>(null)
  const [seen, setSeen] = useState(false)
  useEffect(() => {
    const observer = new IntersectionObserver((entries) => setSeen(entries.at(-1)?.isIntersecting ?? false), {
      rootMargin: '200px',
    })
    if (ref.current) observer.observe(ref.current)
    return () => observer.disconnect()
  }, [])
  return [ref, seen] as const
}

/** Asks at once, and again each `ms` while `active`; an answer to an older question is dropped. */
export function useAsked<T>(ask: () => Promise<T>, key: string, ms: number, active: boolean) {
  const [answer, setAnswer] = useState<T>()
  const [trouble, setTrouble] = useState<string>()
  const [again, setAgain] = useState(0)
  // The question is named by its key.
  useEffect(() => {
    if (!active) return
    let over = false
    let timer: ReturnType<typeof setTimeout> | undefined
    const round = async (): Promise<void> => {
      try {
        const found = await ask()
        if (over) return
        setAnswer(() => found)
        setTrouble(undefined)
      } catch (error) {
        if (!over) setTrouble(error instanceof Error ? error.message : String(error))
      }
      if (!over) timer = setTimeout(round, ms)
    }
    void round()
    return () => {
      over = true
      clearTimeout(timer)
    }
  }, [key, ms, active, again])
  return { answer, trouble, again: () => setAgain((times) => times + 1) }
}
