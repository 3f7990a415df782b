import type { RequestProperty, RequestView } from '../../exchange/request-view.ts'

/** What the functions of policies have read of a request: for the advice that is given to applications that are new. */
export class Watch {
  /** The same request, whose readers are watched. */
  readonly view: RequestView
  /** Request fields that were asked for, in lower case. */
  readonly fields = new Set<string>()
  /** What was asked for and was not there. */
  readonly missing = new Set<RequestProperty>()

  constructor(view: RequestView) {
    // A proxy, because views keep what they know in private: only these two are looked through.
    const header = (name: string): string | undefined => {
      this.fields.add(name)
      return view.header(name)
    }
    const property = (name: RequestProperty): unknown => {
      const value = view.property(name)
      if (value === undefined || value === null) this.missing.add(name)
      return value
    }
    this.view = new Proxy(view, {
      get(_, name) {
        if (name === 'header') return header
        if (name === 'property') return property
        const value: unknown = Reflect.get(view, name, view)
        return typeof value === 'function' ? value.bind(view) : value
      },
    })
  }
}
