import { afterEach, describe, expect, test } from '@jest/globals'
import { createSluice } from '@sluice/node'
import { type AnyFunction, makeDecorator } from '../../packages/core/src/decorate/decorate.ts'

const loud = makeDecorator(
  'loud(...)',
  (fn) =>
    function (this: unknown, ...args: unknown[]) {
      return String(fn.apply(this, args)).toUpperCase()
    },
)

/** What TypeScript's `__decorate` does for one decorator of one method. */
const legacy = (target: object, key: string | symbol): void => {
  Object.defineProperty(target, key, loud(target, key, Object.getOwnPropertyDescriptor(target, key)! as never))
}

describe('one function, told apart by its arguments', () => {
  test('around a function', () => {
    expect(loud((text: string) => `${text}!`)('hey')).toBe('HEY!')
  })

  test('around the functions of an array, which come with an index', () => {
    expect([(text: string) => text].map(loud as never).map((fn) => (fn as AnyFunction)('a'))).toEqual(['A'])
  })

  test('over methods, static, private, symbol-named and computed ones', () => {
    const key = Symbol('key')
    class Words {
      end = '!'
      @loud say(text: string) {
        return text + this.end
      }
      @loud static say(text: string) {
        return text
      }
      @loud #whisper(text: string) {
        return text + this.end
      }
      @loud [key](text: string) {
        return text + this.end
      }
      whisper = (text: string) => this.#whisper(text)
    }
    const words = new Words()
    expect([words.say('a'), Words.say('a'), words.whisper('a'), words[key]('a')]).toEqual(['A!', 'A', 'A!', 'A!'])
  })

  test('over a field that holds a function: once for each object', () => {
    class Words {
      readonly end: string
      constructor(end: string) {
        this.end = end
      }
      @loud say = (text: string) => text + this.end
    }
    expect([new Words('!').say('a'), new Words('?').say('a')]).toEqual(['A!', 'A?'])
  })

  test('under experimentalDecorators, over methods of objects and of the class', () => {
    class Words {
      end = '!'
      say(text: string) {
        return text + this.end
      }
      static say(text: string) {
        return text
      }
    }
    legacy(Words.prototype, 'say')
    legacy(Words, 'say')
    expect([new Words().say('a'), Words.say('a')]).toEqual(['A!', 'A'])
    expect(Object.getOwnPropertyDescriptor(Words.prototype, 'say')).toMatchObject({ enumerable: false, writable: true })
  })

  test.each([
    ['nothing', []],
    ['a value', [{}]],
    ['an accessor, TC39', [() => 1, { kind: 'getter', name: 'a' }]],
    ['a class, TC39', [class {}, { kind: 'class', name: 'A' }]],
    ['an accessor, legacy', [{}, 'a', { get: () => 1 }]],
    ['a field, legacy', [{}, 'a', undefined]],
  ])('%s is refused with what it was put on', (_what, given) => {
    expect(() => (loud as AnyFunction)(...given)).toThrow(
      /^`loud\(\.\.\.\)` is for functions and methods; it was put on /,
    )
  })

  test('a field that holds no function is refused when it is set', () => {
    class Words {
      @(loud as AnyFunction) say = 'a'
    }
    expect(() => new Words()).toThrow(/it was put on "a"/)
  })
})

describe('the wrapped function passes for the original', () => {
  function original(_a: unknown, _b: unknown, _c?: unknown): string {
    return 'a'
  }

  test('name, length, toString of neither', () => {
    const wrapped = loud(original)
    expect([wrapped.name, wrapped.length, wrapped === original]).toEqual(['original', 3, false])
  })

  test('what was put on it comes along, and stays the original’s too', () => {
    const wrapped = loud(Object.assign(() => 'a', { description: 'said' }))
    expect([wrapped.description, wrapped()]).toEqual(['said', 'A'])
  })

  test('what the wrapper has of its own stays: a memo of a memo keeps its members', async () => {
    const sluice = createSluice()
    let runs = 0
    const inner = sluice.memo(() => ++runs, { ttl: '1h' })
    const outer = sluice.memo(inner, { ttl: '1h' })
    await outer()
    await outer()
    expect([outer.info().hits, inner.info().hits, outer.name]).toEqual([1, 0, inner.name])
    await outer.clear()
    expect([await outer(), inner.info().hits]).toEqual([1, 1])
    await sluice.close()
  })

  describe('with reflect-metadata', () => {
    const kept = new WeakMap<object, Map<unknown, unknown>>()
    const methods = {
      getOwnMetadataKeys: (target: object) => [...(kept.get(target)?.keys() ?? [])],
      getOwnMetadata: (key: unknown, target: object) => kept.get(target)?.get(key),
      defineMetadata: (key: unknown, value: unknown, target: object) =>
        void kept.set(target, (kept.get(target) ?? new Map()).set(key, value)),
    }
    afterEach(() => {
      for (const name of Object.keys(methods)) Reflect.deleteProperty(Reflect, name)
    })

    test('a decorator above NestJS’s own keeps the route it noted', () => {
      Object.assign(Reflect, methods)
      const handler = () => 'a'
      methods.defineMetadata('path', '/cities', handler)
      expect(methods.getOwnMetadata('path', loud(handler))).toBe('/cities')
    })
  })
})

describe('options are checked where the decorator is made', () => {
  const sluice = createSluice({ limits: { search: '10/min' } })
  afterEach(() => sluice.close())

  test.each([
    ['cached', () => sluice.cached('5 parsecs'), /5 parsecs/],
    ['cached', () => sluice.cached('5m', { tag: ['a'] } as never), /`cache\.tag`.*Did you mean `tags`/],
    ['limited', () => sluice.limited('serch'), /Did you mean `search`/],
    ['limited', () => sluice.limited(), /at least one policy/],
    ['invalidates', () => sluice.invalidates(''), /must be given tags/],
  ])('%s', (_name, make, message) => {
    expect(make).toThrow(message)
  })
})
