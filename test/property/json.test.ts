/** Whatever the text, what is read of it without building it is what JSON.parse would have made of it. */
import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { childText, finder, picker } from '../../src/lib/json/member.ts'
import { scan } from '../../src/lib/json/scan.ts'

const space = fc.constantFrom('', '', '', ' ', '\n', '\t\r\n ', ' '.repeat(40))

/** A string in one of the many ways in which JSON can write it; long enough for what is searched natively. */
const string = fc
  .array(
    fc.oneof(
      fc.stringMatching(/^[a-z ]{0,40}$/),
      fc
        .string({ unit: 'grapheme', maxLength: 5 })
        .map((text) => JSON.stringify(text).slice(1, -1)),
      fc.constantFrom(
        '\\"',
        '\\\\',
        '\\/',
        '\\b\\f\\n\\r\\t',
        '\\u0041',
        '\\uD83d',
        '\u2028',
        '\\\\\\"',
      ),
    ),
    { maxLength: 6 },
  )
  .map((parts) => `"${parts.join('')}"`)

const number = fc.oneof(
  fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => JSON.stringify(value)),
  fc.constantFrom('0', '-0.0', '1E+400', '1e-0', '0.10', '12345678901234567890'.repeat(5)),
)

const { json } = fc.letrec<{ json: string; list: string; object: string }>((tie) => ({
  json: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom('null', 'true', 'false'),
    number,
    string,
    tie('list'),
    tie('object'),
  ),
  list: fc
    .array(fc.tuple(space, tie('json'), space), { maxLength: 4 })
    .map((items) => `[${items.map((parts) => parts.join('')).join(',')}]`),
  object: fc
    .array(fc.tuple(space, string, space, tie('json'), space), { maxLength: 4 })
    .map((items) => `{${items.map(([a, b, c, d, e]) => `${a}${b}${c}:${d}${e}`).join(',')}}`),
}))
const text = fc.tuple(space, json, space).map((parts) => parts.join(''))

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** What JSON.parse says of a text; nothing that it accepts is undefined. */
const isJson = (text: string) => parse(text) !== undefined

/** Everything that means something somewhere in JSON, and something that does not. */
const PIECES = [
  ...'{}[]",:0-+.eE1 \n\\/tfnu"',
  '\u0001',
  '\u00a0',
  '\ufeff',
  'é',
  'true',
  '\\u',
  '00',
]
const edit = fc.record({
  at: fc.nat(400),
  removed: fc.nat(3),
  added: fc.oneof(fc.constant(''), fc.constantFrom(...PIECES)),
})

describe('a text', () => {
  test('is JSON if it is for JSON.parse, also after it was damaged', () => {
    fc.assert(
      fc.property(text, fc.array(edit, { maxLength: 3 }), (written, edits) => {
        const damaged = edits.reduce((now, { at, removed, added }) => {
          const from = at % (now.length + 1)
          return now.slice(0, from) + added + now.slice(from + removed)
        }, written)
        expect({ damaged, is: scan(damaged) > 0 }).toEqual({ damaged, is: isJson(damaged) })
      }),
      { numRuns: 5000 },
    )
  })

  test('is JSON if it is for JSON.parse, wherever it is cut off', () => {
    fc.assert(
      fc.property(text, (written) => {
        for (let end = 0; end <= written.length; end++) {
          const cut = written.slice(0, end)
          expect({ cut, is: scan(cut) > 0 }).toEqual({ cut, is: isJson(cut) })
        }
      }),
      { numRuns: 200 },
    )
  })

  test('is JSON if it is for JSON.parse, for each of the shortest', () => {
    const chars = [...'{}[]",:0-+.e1 \\a\n']
    let some = ['']
    for (let length = 1; length <= 4; length++) {
      some = some.flatMap((before) => chars.map((char) => before + char))
      const wrong = some.filter((one) => scan(one) > 0 !== isJson(one))
      expect(wrong).toEqual([])
    }
  }, 60_000)

  test('is JSON if it is for JSON.parse, with any character in any place', () => {
    const places = ['?', '[0?]', '[?0]', '{?}', '"?"', `"${'a'.repeat(99)}?"`, '"\\?"']
    const escapes = ['"\\u?aaa"', '"\\ua?aa"', '"\\uaa?a"', '"\\uaaa?"']
    const wrong: string[] = []
    for (let unit = 0; unit < 0x10000; unit++) {
      const char = String.fromCharCode(unit)
      for (const place of [...places, ...escapes]) {
        const one = place.replace('?', () => char)
        if (scan(one) > 0 !== isJson(one)) wrong.push(JSON.stringify(one))
      }
    }
    expect(wrong).toEqual([])
  }, 60_000)

  test('holds as many values as JSON.parse makes of it', () => {
    const count = (value: unknown): number =>
      typeof value === 'object' && value !== null
        ? Object.values(value).reduce((sum: number, one) => sum + count(one), 1)
        : 1
    fc.assert(
      // Its members have no twins.
      fc.property(fc.jsonValue(), (value) => {
        expect(scan(JSON.stringify(value))).toBe(count(JSON.parse(JSON.stringify(value))))
      }),
    )
  })
})

const NAMES = ['model', 'stream', 'max_tokens', 'n', 'stream_options']
/** The names, what is nearly one of them, and each in any spelling. */
const name = fc
  .tuple(
    fc.oneof(
      fc.constantFrom(
        ...NAMES,
        'mode',
        'modell',
        'Model',
        'MAX_tokens',
        'ﬅream',
        'N',
        '',
        '__proto__',
      ),
      fc.constantFrom(
        '\u017ftream',
        'max_to\u212aens',
        'max-tokens',
        'max\u007ftokens',
        '\u0131',
        'é',
      ),
      fc.string({ unit: 'grapheme', maxLength: 8 }),
    ),
    fc.array(fc.boolean(), { minLength: 1, maxLength: 4 }),
  )
  .map(([value, escaped]) => {
    const units = value.split('').map((unit, i) => {
      const code = unit.charCodeAt(0).toString(16).padStart(4, '0')
      return escaped[i % escaped.length] ? `\\u${code}` : JSON.stringify(unit).slice(1, -1)
    })
    return `"${units.join('')}"`
  })
const members = fc.array(fc.record({ name, json, before: space, after: space }), { maxLength: 8 })
type Members = typeof members extends fc.Arbitrary<infer T> ? T : never

const write = (all: Members) =>
  ` {${all.map(({ name, json, before, after }) => `${before}${name}${after}:${before}${json}${after}`).join(',')}} `
const fold = (spelled: string) => (JSON.parse(spelled) as string).toUpperCase().toLowerCase()

describe('members', () => {
  test('are found as JSON.parse finds them, and whatever another parser might take for them is', () => {
    const find = finder(NAMES)
    fc.assert(
      fc.property(members, (all) => {
        const whole = write(all)
        const found = find(whole)
        const own = all.filter((one) => NAMES.includes(JSON.parse(one.name)))
        const alike = all.filter((one) => NAMES.includes(fold(one.name)))
        const last = Object.fromEntries(own.map((one) => [JSON.parse(one.name), one.json]))
        if (!found) throw new Error('nothing found')
        const texts = [...found.members].map(([key, { start, end }]) => [
          key,
          whole.slice(start, end),
        ])
        expect(Object.fromEntries(texts)).toEqual(last)
        expect(found.others).toBe(own.length < all.length)
        const isClear = alike.length === own.length && own.length === Object.keys(last).length
        expect(found.ambiguous).toBe(!isClear)
      }),
      { numRuns: 2000 },
    )
  })

  test('are found by the case that Unicode gives to any character, and by no other', () => {
    const alphabet = [
      ...'abcdefghijklmnopqrstuvwxyz0123456789_',
      'ss',
      'ff',
      'fi',
      'fl',
      'ffi',
      'ffl',
      'st',
    ]
    const find = finder(alphabet)
    const wrong: string[] = []
    for (let unit = 0; unit < 0x10000; unit++) {
      const char = String.fromCharCode(unit)
      const isAlike =
        !alphabet.includes(char) && alphabet.includes(char.toUpperCase().toLowerCase())
      const found = find(JSON.stringify({ [char]: 0 }))
      if (!found || found.ambiguous !== isAlike) wrong.push(unit.toString(16))
    }
    expect(wrong).toEqual([])
  })

  test('are read as JSON.parse reads them, those within others too', () => {
    const pick = picker({ model: true, stream_options: { n: true }, n: true })
    fc.assert(
      fc.property(members, members, (outer, inner) => {
        const at = { name: '"stream_options"', json: write(inner), before: '', after: ' ' }
        const own = (value: unknown, name: string) =>
          Object.hasOwn(value as object, name)
            ? { [name]: (value as Record<string, unknown>)[name] }
            : {}
        const whole = write([...outer, at])
        const value = JSON.parse(whole)
        expect(pick(whole)).toEqual({
          ...own(value, 'model'),
          ...own(value, 'n'),
          stream_options: own(value['stream_options'], 'n'),
        })
      }),
    )
  })

  test('and items are cut out as they are written, by any name and any index', () => {
    fc.assert(
      fc.property(members, fc.array(text, { maxLength: 5 }), (all, items) => {
        for (const one of all) {
          const key: string = JSON.parse(one.name)
          const last = all.findLast(({ name }) => JSON.parse(name) === key)
          expect(childText(write(all), key)).toBe(last?.json ?? '')
        }
        for (let i = 0; i <= items.length; i++) {
          expect(childText(`[${items.join(',')}]`, i)).toBe(
            items[i]?.replace(/^\s+|\s+$/g, '') ?? null,
          )
        }
        expect(childText(write(all), 0)).toBeNull()
        expect(childText(`[${items.join(',')}]`, 'length')).toBeNull()
      }),
    )
  })

  test('are not found in what is no JSON, or no object', () => {
    const find = finder(NAMES)
    fc.assert(
      fc.property(text, (written) => {
        const value = parse(written)
        const isObject = typeof value === 'object' && value !== null && !Array.isArray(value)
        expect(find(written) === null).toBe(!isObject)
        expect(find(`${written}]`)).toBeUndefined()
      }),
    )
  })
})
