/**
 * The API document and the server agree, in both directions: what a schema allows is taken, what it does not allow is
 * refused, and every answer is one that the document has. Each operation is asked with its own example and with what
 * differs from it in one place, on objects that are there. The data path, which passes on what others say, has tests of
 * its own.
 */
import { afterEach, beforeEach, expect, setDefaultTimeout, test } from 'bun:test'
import fc from 'fast-check'
import { type Called, codeOf, type Document, operationsOf } from '../support/api-document.ts'
import { onPostgres } from '../support/engine.ts'
import { bodyOf, type Case, createCases, exampleOf, type Sent } from '../support/schema-cases.ts'
import { createJudge } from '../support/schema-judge.ts'
import { RULES } from '../support/schema-rules.ts'
import { valuesBy } from '../support/schema-values.ts'
import { issueKey, startServer } from '../support/server.ts'
import { startUpstream } from '../support/upstream.ts'

/** Thousands of requests a test, beside other work. */
setDefaultTimeout(120_000)

const upstream = startUpstream()
const server = await startServer({ PROXY_EGRESS_ALLOW: upstream.host })
const document = (await (await fetch(`${server.url}/swagger/json`)).json()) as Document
const judge = createJudge(document)
const values = valuesBy(judge.resolve, judge.accepts)
const cases = createCases(judge, values)
/** To back up PostgreSQL takes programs that not every machine has; test/postgres tells where it has them. */
const elsewhere = onPostgres ? ['createBackup'] : []
const operations = operationsOf(document).filter(
  ({ tags, operationId }) => !tags?.includes('Proxy') && !elsewhere.includes(operationId),
)
const withBody = operations.filter(({ requestBody }) => requestBody)
const without = operations.filter(({ method, requestBody }) => method !== 'GET' && !requestBody)

/** What is right in itself and meets something that is or is not there. */
const MEETS = [
  'key_not_found', 'key_already_exists', 'upstream_not_found', 'upstream_already_exists', 'mount_taken', 'call_not_found',
] // biome-ignore format: one list
/** So that a failure is found again. */
const SEED = 9
const RUNS = 60
/** Of what is refused, since it changes nothing. */
const AT_ONCE = 16

let holder = await issueKey(server)
const call = await server.call(holder.key, { endpoint: `${upstream.url}/` })
/** A key may ask about itself so often a minute: from then on, another one asks. */
const ASKED_MAX = 50
let asked = 0
await call.text()

/** The objects that operations are asked about, by the names of their parameters. */
const known = { id: call.headers.get('x-quota-charge-id') ?? '', key: '', name: '' }
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

beforeEach(async () => {
  await renewKey()
  await renewUpstream()
})

afterEach(() => {
  // Tens of thousands of lines, too many to parse each time.
  expect(server.logs().match(/^.*"level":"error".*$/m)).toBeNull()
})

async function send({ method, path, security }: Called, sent: Sent) {
  const filled = Object.entries({ ...known, ...sent.path }).reduce(
    (text, [name, value]) => text.replace(`{${name}}`, () => encodeURIComponent(value)),
    path,
  )
  const scheme = Object.keys(security[0] ?? {})[0]
  if (scheme === 'apiKey' && ++asked % ASKED_MAX === 0) holder = await issueKey(server)
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

/** What decides on the next answer; a key and an upstream are new to every test anyhow. */
async function putBack({ operationId }: Called, text: string): Promise<void> {
  const answer = JSON.parse(text)
  if (operationId === 'createUpstream') await removeUpstream(answer.name)
  if (['deleteKey', 'creditKey'].includes(operationId)) await renewKey()
  // Limits that are set stay, and there may be only so many.
  if (operationId === 'updateKey' && answer.limits.length > 2) await renewKey()
  const hasSecret = operationId === 'updateUpstream' && answer.credential !== null
  if (operationId === 'deleteUpstream' || hasSecret) await renewUpstream()
}

async function expectAgreement(operation: Called, all: readonly Case[]): Promise<void> {
  const found: string[] = []
  const refused = all.filter(({ verdict }) => verdict === 'refused')
  for (let i = 0; i < refused.length; i += AT_ONCE) {
    const together = refused.slice(i, i + AT_ONCE)
    found.push(...(await Promise.all(together.map((one) => difference(operation, one)))))
  }
  for (const one of all) {
    if (one.verdict !== 'refused') found.push(await difference(operation, one))
  }
  // A kind shows in its first instances.
  expect(found.filter(Boolean).slice(0, 30)).toEqual([])
}

for (const operation of operations) {
  const { operationId, parameters = [] } = operation

  test(`${operationId} takes its own example`, async () => {
    const query = parameters
      .filter((parameter) => parameter.in === 'query' && parameter.example !== undefined)
      .map(({ name, example }) => `${name}=${encodeURIComponent(String(example))}`)
      .join('&')
    expect(await difference(operation, { ...exampleOf(operation), query, verdict: 'taken' })).toBe(
      '',
    )
  })

  test(`${operationId} takes of parameters what the document allows, and nothing else`, async () => {
    await expectAgreement(operation, cases.ofParameters(operation))
  })
}

// `fetch` sends no body with GET.
for (const operation of without) {
  test(`${operation.operationId} answers as documented to a body that it has no use for`, async () => {
    await expectAgreement(operation, cases.ofStrayBodies())
  })
}

for (const operation of withBody) {
  const { operationId } = operation

  test(`${operationId} takes of a body what the document allows, and nothing else`, async () => {
    await expectAgreement(operation, cases.ofBodies(operation))
  })

  test(`${operationId} takes JSON alone, each member once, and no body where the document says so`, async () => {
    await expectAgreement(operation, cases.ofTexts(operation))
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
        const one = cases.ofBody(operation, { ...example, ...fields })
        expect(await difference(operation, one)).toBe('')
      }),
      { seed: SEED, numRuns: RUNS },
    )
  })
}

test('every rule that the document has in words alone is met by a request that fits its schemas', () => {
  for (const operation of operations) {
    cases.ofParameters(operation)
    if (operation.requestBody) cases.ofBodies(operation)
  }
  expect(RULES.filter((rule) => !cases.met.has(rule))).toEqual([])
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
