/**
 * The API document and the server agree, in both directions: what a schema allows is taken, what it does not allow is
 * refused, and every answer is one that the document has. Each operation is asked with its own example and with what
 * differs from it in one place, on objects that are there. The data path, which passes on what others say, has tests of
 * its own.
 */
import { afterEach, expect, setDefaultTimeout, test } from 'bun:test'
import fc from 'fast-check'
import { type Called, codeOf, type Document, operationsOf } from '../support/api-document.ts'
import { createJudge } from '../support/schema-judge.ts'
import { type Asked, RULES, ruleAgainst } from '../support/schema-rules.ts'
import { type Schema, valuesBy } from '../support/schema-values.ts'
import { issueKey, startServer } from '../support/server.ts'
import { startUpstream } from '../support/upstream.ts'

/** Thousands of requests a test, beside other work. */
setDefaultTimeout(120_000)

const upstream = startUpstream()
const server = await startServer({ PROXY_EGRESS_ALLOW: upstream.host })
const document = (await (await fetch(`${server.url}/swagger/json`)).json()) as Document
const judge = createJudge(document)
const values = valuesBy(judge.resolve, judge.accepts)
const operations = operationsOf(document).filter(({ tags }) => !tags?.includes('Proxy'))
const withBody = operations.filter(({ requestBody }) => requestBody)

/** Taken with any query: probes and clients made for OpenAI add parameters of their own. */
const TAKES_ANY_QUERY = ['getHealth', 'getOwnBillingSubscription', 'getOwnBillingUsage']
/** What is right in itself and meets something that is or is not there. */
const MEETS = [
  'key_not_found', 'key_already_exists', 'upstream_not_found', 'upstream_already_exists', 'mount_taken', 'call_not_found',
] // biome-ignore format: one list
/** So that a failure is found again. */
const SEED = 9
const RUNS = 60
/** Of what is refused, since it changes nothing. */
const AT_ONCE = 16

const holder = await issueKey(server)
const call = await server.call(holder.key, { endpoint: `${upstream.url}/` })
await call.text()

/** The objects that operations are asked about, by the names of their parameters. */
const known = { id: call.headers.get('x-quota-charge-id') ?? '', key: '', name: '' }
await renewKey()
await renewUpstream()

async function renewKey(): Promise<void> {
  known.key = (await issueKey(server)).id
}

async function renewUpstream(): Promise<void> {
  await removeUpstream('known')
  const fields = { name: 'known', base_url: 'http://127.0.0.1' }
  await (await server.admin('POST', '/admin/upstreams', fields)).text()
  known.name = fields.name
}

async function removeUpstream(name: string): Promise<void> {
  await (await server.admin('DELETE', `/admin/upstreams/${name}`)).text()
}

afterEach(() => {
  // Tens of thousands of lines, too many to parse each time.
  expect(server.logs().match(/^.*"level":"error".*$/m)).toBeNull()
})

type Sent = {
  readonly path?: Readonly<Record<string, string>>
  /** As it stands behind the question mark. */
  readonly query?: string
  readonly body?: string
  readonly headers?: Readonly<Record<string, string>>
}
/** `answered` is for what no schema speaks of: any documented answer will do. */
type Verdict = 'taken' | 'refused' | 'answered'
type Case = Sent & { readonly verdict: Verdict }

async function send({ method, path, security }: Called, sent: Sent) {
  const filled = Object.entries({ ...known, ...sent.path }).reduce(
    (text, [name, value]) => text.replace(`{${name}}`, () => encodeURIComponent(value)),
    path,
  )
  const scheme = Object.keys(security[0] ?? {})[0]
  const response = await fetch(server.url + filled + (sent.query ? `?${sent.query}` : ''), {
    method,
    headers: {
      ...(scheme === 'adminToken' && { authorization: `Bearer ${server.adminToken}` }),
      ...(scheme === 'apiKey' && { 'x-api-key': holder.key }),
      ...(sent.body !== undefined && { 'content-type': 'application/json' }),
      ...sent.headers,
    },
    ...(sent.body !== undefined && { body: sent.body }),
  })
  return { response, text: await response.text() }
}

/** Empty if all is as the document says. */
async function difference(operation: Called, { verdict, ...sent }: Case): Promise<string> {
  const { response, text } = await send(operation, sent)
  if (response.ok && operation.method !== 'GET') await putBack(operation, text)
  const asked = `${operation.operationId} ${JSON.stringify(sent).slice(0, 300)}`
  if (response.status >= 500) return `${asked} fails: ${text}`
  const undocumented = judge.undocumented(operation, response, text)
  if (undocumented) return `${asked} is answered with what is not documented: ${undocumented}`
  const taken = response.ok || MEETS.includes(codeOf(JSON.parse(text || '{}')))
  if (verdict === 'taken' && !taken) return `${asked} fits, but is refused: ${text}`
  if (verdict === 'refused' && taken) return `${asked} does not fit, but is taken`
  return ''
}

/** What has been changed is not to decide on what follows. */
async function putBack({ operationId, path }: Called, text: string): Promise<void> {
  if (operationId === 'createUpstream') await removeUpstream(JSON.parse(text).name)
  else if (path.includes('{key}')) await renewKey()
  else if (path.includes('{name}')) await renewUpstream()
}

async function expectAgreement(operation: Called, cases: readonly Case[]): Promise<void> {
  const found: string[] = []
  const refused = cases.filter(({ verdict }) => verdict === 'refused')
  for (let i = 0; i < refused.length; i += AT_ONCE) {
    const together = refused.slice(i, i + AT_ONCE)
    found.push(...(await Promise.all(together.map((one) => difference(operation, one)))))
  }
  for (const one of cases) {
    if (one.verdict !== 'refused') found.push(await difference(operation, one))
  }
  // A kind shows in its first instances.
  expect(found.filter(Boolean).slice(0, 30)).toEqual([])
}

const met = new Set<string>()

function verdictOf({ operationId }: Called, fits: boolean, asked: Asked): Verdict {
  if (!fits) return 'refused'
  const rule = ruleAgainst(operationId, asked)
  if (rule) met.add(rule.why)
  return rule ? 'refused' : 'taken'
}

function bodyOf({ requestBody }: Called) {
  const [media] = Object.values(requestBody?.content ?? {})
  return media as { schema: Schema; example: Record<string, unknown> } | undefined
}

/** Its own example, where it takes a body. */
function example(operation: Called): Sent {
  const body = bodyOf(operation)?.example
  return body ? { body: JSON.stringify(body) } : {}
}

function caseOf(operation: Called, value: unknown): Case {
  const body = JSON.stringify(value)
  // As the server gets it: what is undefined is absent.
  const sent = JSON.parse(body)
  const fits = judge.accepts(bodyOf(operation)?.schema ?? {}, sent)
  return { body, verdict: verdictOf(operation, fits, { body: sent, query: {} }) }
}

function bodyCases(operation: Called): Case[] {
  const { schema, example } = bodyOf(operation) ?? { schema: {}, example: {} }
  return values.variants(schema, example).map((value) => caseOf(operation, value))
}

type Parameter = { readonly name: string; readonly in: string; readonly schema: Schema }

function parameterCases(operation: Called): Case[] {
  const parameters = (operation.parameters ?? []) as Parameter[]
  return parameters.flatMap(({ name, schema, in: place }) => {
    const texts = values.of({ ...schema, type: 'string' }).filter((one) => typeof one === 'string')
    // A URL holds no half surrogates; nothing, and the steps of a path, are of another path.
    const usable = texts
      .map((text) => text.toWellFormed())
      .filter((text) => place === 'query' || !['', '.', '..'].includes(text))
    return usable.map((text) => {
      const query = place === 'query' ? { [name]: text } : {}
      const verdict = verdictOf(operation, judge.accepts(schema, text), { query })
      const written = `${name}=${encodeURIComponent(text)}`
      const own = place === 'query' ? { query: written } : { path: { [name]: text } }
      return { ...example(operation), ...own, verdict }
    })
  })
}

/** Parameters that are not there, or are there in another way than once and in UTF-8. */
function oddQueries(operation: Called): Case[] {
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
  ].map(([query, verdict]) => ({ ...example(operation), query, verdict }))
}

/** Not JSON, or JSON that a body may not be. */
const NO_BODY = [
  '{', '[1', '"', 'NaN', 'undefined', '{"a":NaN}', '{"a":1,}', "{'a':1}", '{"a":01}', '{"a":"\u0001"}', '\u0001', '{}{}', '\ufeff{',
  'null', 'true', '1', '"x"', '[]', '[{}]', '['.repeat(50_000), '{"zz":1,"zz":1}', ' '.repeat(300_000),
] // biome-ignore format: a table
const NO_TYPE = ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x', 'application/xml', '*/*', ''] // biome-ignore format: a table

function textCases(operation: Called): Case[] {
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

for (const operation of operations) {
  const { operationId, parameters = [] } = operation

  test(`${operationId} takes its own example`, async () => {
    const query = parameters
      .filter((parameter) => parameter.in === 'query' && parameter.example !== undefined)
      .map(({ name, example }) => `${name}=${encodeURIComponent(String(example))}`)
      .join('&')
    expect(await difference(operation, { ...example(operation), query, verdict: 'taken' })).toBe('')
  })

  test(`${operationId} takes of parameters what the document allows, and nothing else`, async () => {
    await expectAgreement(operation, [...parameterCases(operation), ...oddQueries(operation)])
  })
}

for (const operation of withBody) {
  const { operationId } = operation

  test(`${operationId} takes of a body what the document allows, and nothing else`, async () => {
    await expectAgreement(operation, bodyCases(operation))
  })

  test(`${operationId} takes JSON alone, each member once, and no body where the document says so`, async () => {
    await expectAgreement(operation, textCases(operation))
  })

  const { schema = {}, example = {} } = bodyOf(operation) ?? {}
  const properties = Object.entries(judge.resolve(schema).properties ?? {})
  if (properties.length === 0) continue

  test(`${operationId} agrees with the document on bodies that nobody thought of`, async () => {
    const members = properties.map(([name, one]) => {
      const listed = fc.constantFrom(...values.of(one))
      const right = fc.constant(values.sample(one))
      return [name, fc.oneof(listed, right, fc.jsonValue({ stringUnit: 'binary' }))] as const
    })
    const given = fc.record(Object.fromEntries(members), { requiredKeys: [] })
    await fc.assert(
      fc.asyncProperty(given, async (fields) => {
        const one = caseOf(operation, { ...example, ...fields })
        expect(await difference(operation, one)).toBe('')
      }),
      { seed: SEED, numRuns: RUNS },
    )
  })
}

test('every rule that the document has in words alone is met by a request that fits its schemas', () => {
  for (const operation of operations) {
    parameterCases(operation)
    if (operation.requestBody) bodyCases(operation)
  }
  expect(RULES.map(({ why }) => why).filter((why) => !met.has(why))).toEqual([])
})

test('what is not in the document fails on nothing either', async () => {
  const authorization = `Bearer ${server.adminToken}`
  const paths = ['/', '/metrics', '/swagger', '/swagger/json', '/admin', '/me/none', '/none']
  const queries = ['', '?zz=1', '?zz=1&zz=2', '?%ff=%zz', '?__proto__=1']
  for (const path of paths.flatMap((one) => queries.map((query) => one + query))) {
    for (const method of ['GET', 'HEAD', 'OPTIONS', 'POST', 'PUT', 'DELETE']) {
      const headers = { authorization }
      const { status } = await fetch(server.url + path, { method, headers, redirect: 'manual' })
      expect({ method, path, fails: status >= 500 }).toEqual({ method, path, fails: false })
    }
  }
})
