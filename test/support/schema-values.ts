/**
 * Values to try where a schema stands: what it allows at its edges, what lies just beyond, and what belongs to another type.
 * None is known to be right or wrong here; that is for the schema to say.
 */

export type Schema = {
  readonly $ref?: string
  readonly type?: string | readonly string[]
  readonly const?: unknown
  readonly enum?: readonly unknown[]
  readonly examples?: readonly unknown[]
  readonly minimum?: number
  readonly maximum?: number
  readonly minLength?: number
  readonly maxLength?: number
  readonly pattern?: string
  readonly minItems?: number
  readonly maxItems?: number
  readonly items?: Schema
  readonly required?: readonly string[]
  readonly properties?: Readonly<Record<string, Schema>>
  readonly propertyNames?: Schema
  readonly additionalProperties?: Schema | boolean
  readonly maxProperties?: number
  readonly anyOf?: readonly Schema[]
}

export type Values = {
  /** Of every kind, each of them once. */
  of(schema: Schema): unknown[]
  /** One that the schema allows. */
  sample(schema: Schema): unknown
  /** Objects that differ from `base` in one member. */
  variants(schema: Schema, base: Record<string, unknown>): unknown[]
}

/** What a text could be in any of the fields, right in one and wrong in most. */
export const TEXTS: readonly string[] = [
  '', ' ', 'a', 'A', 'ab', ' a', 'a ', 'a b', 'a_', 'key_', 'key_a', 'qpa_', 'quota', 'requests-day', 'day', 'é', '日本', '🔑', '!', '!a',
  '\0', '\n', 'a\n', '\t', '\r\n', '\x1b[31m', '\x7f', '\x85', '\u2028', '\ufeff', '\ud800', '\udc00\ud800', '__proto__',
  'null', 'true', 'false', '0', '1', '01', '-1', '+1', '1.0', '1e2', '0x10', '100', '101', 'NaN', 'Infinity', '9007199254740993',
  '[]', '{}', '["a"]', '{"a":1}', '"a"', '*', '/', '//', '/a', '/a/', '/a//b', '/a/../b', '/.', '/a/.b', '/v1', '/ADMIN/x', '/admins',
  '/a?b', '/a%20b', '/**', 'a/b', '\\', "'", '"', '%', '%00', '%zz', '{secret}', 'Bearer {secret}', ' {secret}', '{secret} ',
  '{secret}{secret}', '{secret', 'é{secret}', 'http://a', 'HTTP://A', 'https://a.example/v1/', 'http://a//', 'http://a/b//c',
  'http://a/b//../c', 'http://a/é', 'http://u@a', 'http://@a', 'http://a/@b', 'http://a?b', 'http://a#b', 'http://a/%41', 'http://a:0',
  'http://a:65536', 'http://[::1]:8080/v1', 'http://[::1', 'http://a\\b', 'http://a b', 'http://a.', 'http://a..b', 'http://<a>',
  'http:a', 'http:///a', 'ftp://a', 'https://ä.example', 'http://1.2.3', 'http://A.example', 'https://a.example:443',
  'https://a.example', 'http://a:80', 'UTC', 'utc', 'Europe/Berlin', 'europe/berlin', 'Etc/GMT+1', 'Mars/Base', '+08:00', 'UTC+1',
  '2026-12-31T00:00:00Z', '2026-12-31t00:00:00z', '2026-12-31 00:00:00+01:00', '2026-12-31T00:00:00.123456789Z',
  '2026-12-31T00:00:00.1234567890Z', '2026-12-31T00:00:00+0100', '2026-12-31T00:00:00+01', '2026-12-31T24:00:00Z', '2026-12-31',
  '2026-02-29T00:00:00Z', '2016-12-31T23:59:60Z', '2017-01-01T00:59:60+01:00', '2026-12-31T12:00:60Z', '1969-12-31T23:59:59Z',
  '1969-12-31T23:59:59-01:00', '1970-01-01T00:00:00+01:00', '9999-12-31T23:59:59.999Z', '9999-12-31T23:59:59-00:01',
  '0000-01-01T00:00:00Z', '2026-12-31T00:00Z', '20261231T000000Z', '2026-12-31T00:00:00Z\n', '10.0.0.0/8', '10.0.0.0/33', '10.0.0/8',
  '192.0.2.1', '192.0.2.256', '::1', '::1/129', '::ffff:192.0.2.0/120', '::ffff:192.0.2.0/95', 'fe80::1%lo', '1.2.3.4/08', 'host',
  'content-length', 'X-Real', 'x:y', 'GET', 'get', 'GET ', 'M-SEARCH', 'call_1', 'call_', 'call_1234567890123456',
  '$.usage.credits', '$', '$.a[0]', "$['a b']", '$..a', 'trial_', 'trial', 'Trial_', '0123456789abcdef',
  'trial_Ab3dK8sLq0ZyXw2VtUr5PnMb7HgFeDx9ZkQm', 'trial_Ab3dK8sLq0ZyXw2VtUr5PnMb7HgFeDx9ZkQmab', 'openai',
] // biome-ignore format: a table

const OF_OTHER_TYPES: readonly unknown[] = [
  null, true, false, 0, 1, -1, 0.5, 1e300, 2 ** 53, 'x', [], [null], ['x'], [[]], [{}], {}, { a: 1 }, { toString: null },
  nested(20),
] // biome-ignore format: a table

function nested(levels: number): object {
  return levels === 0 ? {} : { a: nested(levels - 1) }
}

/** `accepts` judges by the document that the schemas are of. */
export function valuesBy(
  resolve: (schema: Schema) => Schema,
  accepts: (schema: Schema, value: unknown) => boolean,
): Values {
  function of(given: Schema): unknown[] {
    const schema = resolve(given)
    const types = [schema.type ?? []].flat()
    const values = [
      ...OF_OTHER_TYPES,
      ...(schema.enum ?? []),
      ...(schema.examples ?? []),
      ...(types.includes('string') ? texts(schema) : []),
      ...(types.includes('integer') ? edges(schema) : []),
      ...(types.includes('array') ? lists(schema) : []),
      ...(types.includes('object') ? objects(schema) : []),
      ...(schema.anyOf ?? []).flatMap(of),
    ]
    return distinct(values)
  }

  function sample(given: Schema): unknown {
    const schema = resolve(given)
    const [first] = schema.anyOf ?? []
    if (first) return sample(first)
    const own = [...(schema.examples ?? []), ...(schema.enum ?? []), schema.const]
    const type = [schema.type ?? []].flat()[0]
    const others = type === 'string' ? TEXTS : type === 'integer' ? edges(schema) : OF_OTHER_TYPES
    const least = Object.entries(schema.properties ?? {}).map(([name, one]) => ({
      [name]: sample(one),
    }))
    const found = [...own, minimal(schema), ...others, ...least].find(
      (value) => value !== undefined && accepts(schema, value),
    )
    if (found === undefined) throw new Error(`nothing fits ${JSON.stringify(schema)}`)
    return found
  }

  function minimal({ required = [], properties = {} }: Schema): object {
    return Object.fromEntries(required.map((name) => [name, sample(properties[name] ?? {})]))
  }

  function lists({ items = {}, minItems = 0, maxItems = 0 }: Schema): unknown[] {
    const [one, all] = [sample(items), of(items)]
    const filled = [minItems - 1, minItems, maxItems, maxItems + 1]
      .filter((length) => length >= 0)
      .map((length) => Array(length).fill(one))
    return [...filled, ...all.map((value) => [value]), [one, one], [one, null]]
  }

  function objects(schema: Schema): unknown[] {
    const { propertyNames, additionalProperties, maxProperties = 0 } = schema
    const numbered = (count: number, value: unknown) =>
      Object.fromEntries(Array.from({ length: count }, (_, i) => [`a${i}`, value]))
    const member = typeof additionalProperties === 'object' ? additionalProperties : null
    const value = member && (Object.keys(member).length > 0 ? sample(member) : 1)
    return [
      ...variants(schema, minimal(schema) as Record<string, unknown>),
      ...(member ? of(member).map((one) => ({ a: one })) : []),
      ...(maxProperties > 0
        ? [numbered(maxProperties, value), numbered(maxProperties + 1, value)]
        : []),
      ...(propertyNames ? TEXTS.map((name) => Object.fromEntries([[name, value]])) : []),
      ...(propertyNames ? [{ 'X-A': value, 'x-a': value }] : []),
    ]
  }

  function variants(given: Schema, base: Record<string, unknown>): unknown[] {
    const { properties = {} } = resolve(given)
    const changed = Object.entries(properties).flatMap(([name, member]) =>
      of(member).map((value) => ({ ...base, [name]: value })),
    )
    const without = Object.keys(base).map((name) => ({ ...base, [name]: undefined }))
    const names = Object.keys(properties)
    const unknown = ['zz', '', '__proto__', ...names.map((name) => name.toUpperCase())]
    return distinct([
      base,
      ...changed,
      ...without,
      ...unknown.map((name) => Object.fromEntries([...Object.entries(base), [name, 1]])),
      ...pairs(properties, base),
    ])
  }

  /** Two optional members at once, for what may not stand together. */
  function pairs(properties: Readonly<Record<string, Schema>>, base: object): unknown[] {
    const texts = Object.entries(properties).filter(([, one]) => resolve(one).type === 'string')
    return texts.flatMap(([a, one]) =>
      texts.map(([b, other]) => ({ ...base, [a]: sample(one), [b]: sample(other) })),
    )
  }

  return { of, sample, variants }
}

/** As a server sees them: what has one JSON text is one value. */
function distinct(values: readonly unknown[]): unknown[] {
  return [...new Map(values.map((value) => [JSON.stringify(value), value])).values()]
}

/** Of a closed list, what is nearly in it. */
function texts(schema: Schema): string[] {
  if (!schema.enum) return [...TEXTS, ...lengths(schema)]
  const near = schema.enum.flatMap((one) => {
    const text = String(one)
    return [text.toUpperCase(), ` ${text}`, `${text}\n`, text.slice(1), `${text}s`]
  })
  return ['', ...near]
}

/** The longest text and one that is longer, of characters that are one unit of UTF-16 and of such as are two. */
function lengths({ pattern = '', minLength = 0, maxLength = 0, examples = [] }: Schema): string[] {
  const counted = [...pattern.matchAll(/\{(\d+)(?:,(\d+))?\}/g)].flatMap(([, least, most]) => [
    Number(least),
    Number(most ?? least),
  ])
  const edges = [minLength, maxLength, ...counted].filter((edge) => edge > 0)
  const near = [...new Set(edges.flatMap((edge) => [edge - 1, edge, edge + 1]))]
  const [head = ''] = examples.filter((one) => typeof one === 'string')
  const beginnings = ['', '/', head]
  return near.flatMap((length) =>
    beginnings.flatMap((start) =>
      ['a', '🔑'].map((filler) => start + filler.repeat(Math.max(0, length - start.length))),
    ),
  )
}

function edges({ minimum = 0, maximum = 0 }: Schema): number[] {
  return [minimum - 1, minimum, minimum + 0.5, maximum - 1, maximum, maximum + 1, -0]
}
