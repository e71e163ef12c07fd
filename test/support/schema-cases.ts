/**
 * What to ask of an operation, and what the document makes one expect: its own example with something else in one place,
 * parameters that are not there or not there once, and bodies that are not JSON.
 */
import type { Called } from './api-document.ts'
import type { Judge } from './schema-judge.ts'
import { type Asked, type Rule, ruleAgainst } from './schema-rules.ts'
import type { Schema, Values } from './schema-values.ts'

export type Sent = {
  readonly path?: Readonly<Record<string, string>>
  /** As it stands behind the question mark. */
  readonly query?: string
  readonly body?: string
  readonly headers?: Readonly<Record<string, string>>
}
/** `answered` is for what no schema speaks of: any documented answer will do. */
type Verdict = 'taken' | 'refused' | 'answered'
export type Case = Sent & { readonly verdict: Verdict }

/** Taken with any query: probes and clients made for OpenAI add parameters of their own. */
const TAKES_ANY_QUERY = ['getHealth', 'getOwnBillingSubscription', 'getOwnBillingUsage']

type Parameter = { readonly name: string; readonly in: string; readonly schema: Schema }

export function bodyOf({ requestBody }: Called) {
  const [media] = Object.values(requestBody?.content ?? {})
  return media as { schema: Schema; example: Record<string, unknown> } | undefined
}

/** Its own example, where it takes a body. */
export function exampleOf(operation: Called): Sent {
  const body = bodyOf(operation)?.example
  return body ? { body: JSON.stringify(body) } : {}
}

export function createCases(judge: Judge, values: Values) {
  /** Rules of which a case was met. */
  const met = new Set<Rule>()

  function verdictOf({ operationId }: Called, fits: boolean, asked: Asked): Verdict {
    if (!fits) return 'refused'
    const rule = ruleAgainst(operationId, asked)
    if (rule) met.add(rule)
    return rule ? 'refused' : 'taken'
  }

  function ofBody(operation: Called, value: unknown): Case {
    const body = JSON.stringify(value)
    // As the server gets it: what is undefined is absent.
    const sent = JSON.parse(body)
    const fits = judge.accepts(bodyOf(operation)?.schema ?? {}, sent)
    return { body, verdict: verdictOf(operation, fits, { body: sent, query: {} }) }
  }

  function ofBodies(operation: Called): Case[] {
    const { schema, example } = bodyOf(operation) ?? { schema: {}, example: {} }
    return values.variants(schema, example).map((value) => ofBody(operation, value))
  }

  function spelled(operation: Called): Case[] {
    const parameters = (operation.parameters ?? []) as Parameter[]
    return parameters.flatMap(({ name, schema, in: place }) => {
      const texts = values
        .of({ ...schema, type: 'string' })
        .filter((one) => typeof one === 'string')
      // A URL holds no half surrogates; nothing, and the steps of a path, are of another path.
      const usable = texts
        .map((text) => text.toWellFormed())
        .filter((text) => place === 'query' || !['', '.', '..'].includes(text))
      return usable.map((text) => {
        const query = place === 'query' ? { [name]: text } : {}
        const verdict = verdictOf(operation, judge.accepts(schema, text), { query })
        const written = `${name}=${encodeURIComponent(text)}`
        const own = place === 'query' ? { query: written } : { path: { [name]: text } }
        return { ...exampleOf(operation), ...own, verdict }
      })
    })
  }

  /** Parameters that are not there, or are there in another way than once and in UTF-8. */
  function odd(operation: Called): Case[] {
    const unknown = TAKES_ANY_QUERY.includes(operation.operationId) ? 'taken' : 'refused'
    const parameters = (operation.parameters ?? []) as Parameter[]
    const own = parameters.flatMap(({ name, schema, in: place }) => {
      if (place !== 'query') return []
      const right = encodeURIComponent(String(values.sample({ ...schema, type: 'string' })))
      const wrong = ['%', '%zz', '%ff', '%ed%a0%80', 'z'.repeat(20_000)]
      return [
        [`${name}=${right}&${name}=${right}`, unknown],
        [`${name}=${right}&${name}`, unknown],
        [`${name.toUpperCase()}=${right}`, unknown],
        [`${name}%5B%5D=${right}`, unknown],
        ...wrong.map((text) => [`${name}=${text}`, 'answered'] as const),
      ] as const
    })
    const others = ['zz=1', 'zz', '=1', '__proto__=1', 'constructor=1', `${'z'.repeat(5000)}=1`]
    const loose = ['&', '%', 'zz=%zz', '%ff=%ff', `zz=${'z'.repeat(20_000)}`]
    return [
      ...own,
      ...others.map((query) => [query, unknown] as const),
      ...loose.map((query) => [query, 'answered'] as const),
    ].map(([query, verdict]) => ({ ...exampleOf(operation), query, verdict }))
  }

  return {
    met,
    ofBody,
    ofBodies,
    ofTexts,
    ofParameters: (operation: Called): Case[] => [...spelled(operation), ...odd(operation)],
    /** Where the document has no body at all. */
    ofStrayBodies: (): Case[] =>
      [...NO_BODY, '{}', 'x'].flatMap((body) =>
        ['application/json', ...NO_TYPE].map((type) => ({
          ...{ body, headers: { 'content-type': type }, verdict: 'answered' as const },
        })),
      ),
  }
}

/** Not JSON, or JSON that a body may not be. */
const NO_BODY = [
  '{', '[1', '"', 'NaN', 'undefined', '{"a":NaN}', '{"a":1,}', "{'a':1}", '{"a":01}', '{"a":"\u0001"}', '\u0001', '{}{}', '\ufeff{',
  'null', 'true', '1', '"x"', '[]', '[{}]', '['.repeat(50_000), '{"zz":1,"zz":1}', ' '.repeat(300_000),
] // biome-ignore format: a table
const NO_TYPE = ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x', 'application/xml', '*/*', ''] // biome-ignore format: a table

function ofTexts(operation: Called): Case[] {
  const members = Object.entries(bodyOf(operation)?.example ?? {})
  const text = members.length > 0 ? JSON.stringify(Object.fromEntries(members)) : '{ }'
  const twins = members.map(([name, value]) =>
    text.replace('{', () => `{${JSON.stringify(name)}:${JSON.stringify(value)},`),
  )
  const required = (operation.requestBody as { required?: boolean }).required
  const absent = [{}, { body: '' }, { body: ' \n' }]
  return [
    ...[...NO_BODY, ...twins].map((body) => ({ body, verdict: 'refused' as const })),
    ...NO_TYPE.map((type) => ({
      ...{ body: text, headers: { 'content-type': type }, verdict: 'refused' as const },
    })),
    { body: text, headers: { 'content-encoding': 'gzip' }, verdict: 'refused' },
    ...absent.map((sent) => ({
      ...sent,
      verdict: required ? ('refused' as const) : ('taken' as const),
    })),
  ]
}
