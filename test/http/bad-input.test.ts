/**
 * What is wrong is refused with a code and a sentence that says what to do, is never said back, and changes nothing. Every
 * input here carries a canary, which no answer and no log line may ever hold.
 */
import { afterEach, expect, test } from 'bun:test'
import { issueKey, startServer } from '../support/server.ts'
import { settledLogs } from '../support/settled-logs.ts'

const server = await startServer()
const CANARY = 'zQ7canaryX'
const kept = await issueKey(server, { name: 'kept', quota: 7, tags: ['a'], metadata: { a: 1 } })
const before = await state()

async function state(): Promise<unknown> {
  return (await server.admin('GET', '/admin/keys?limit=100')).json()
}

type Body = string | Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array>

function send(method: string, path: string, body: Body, headers: Record<string, string> = {}) {
  const authorization = `Bearer ${server.adminToken}`
  return fetch(server.url + path, {
    method,
    headers: { authorization, 'content-type': 'application/json', ...headers },
    body,
  })
}

/** Checks what is true of every refusal, and that nothing was stored. */
async function expectRefused(answer: Response, status: number, code: string): Promise<unknown> {
  const text = await answer.text()
  expect({ status: answer.status, text }).toMatchObject({ status })
  expect(answer.headers.get('content-type')).toStartWith('application/problem+json')
  const problem = JSON.parse(text)
  expect(problem.code).toBe(code)
  expect(problem.detail).toMatch(/^[A-Z"`a-z_].{15,}\.$/)
  expect(text).not.toContain(CANARY)
  expect(JSON.stringify([...answer.headers])).not.toContain(CANARY)
  expect(await state()).toEqual(before)
  return problem
}

afterEach(async () => {
  const logs = await settledLogs(server)
  const secrets = [CANARY, server.adminToken, kept.key]
  expect(secrets.filter((secret) => logs.includes(secret))).toEqual([])
  expect(server.events().filter((event) => event['level'] === 'error')).toEqual([])
})

const bytes = (text: string) => new Uint8Array(Buffer.from(text, 'latin1'))

const NOT_JSON: Record<string, Body> = {
  'breaks off': `{"name":"${CANARY}"`,
  'ends with a comma': `{"name":"${CANARY}",}`,
  'has single quotes': `{'name':'${CANARY}'}`,
  'is a bare word': CANARY,
  'goes on after its end': `{"name":"${CANARY}","quota":1}{}`,
  'has a comment': `{"name":"${CANARY}"/* x */,"quota":1}`,
  'has NaN': `{"name":"${CANARY}","quota":NaN}`,
  'has Infinity': `{"name":"${CANARY}","quota":Infinity}`,
  'has a number with a leading zero': `{"name":"${CANARY}","quota":01}`,
  'has a hexadecimal number': `{"name":"${CANARY}","quota":0x10}`,
  'has a raw control character in a text': `{"name":"${CANARY}\n","quota":1}`,
  'has a raw NUL': `{"name":"${CANARY}\0","quota":1}`,
  'is a form': `name=${CANARY}&quota=1`,
  'is not UTF-8': bytes(`{"name":"${CANARY}\xff\xfe","quota":1}`),
  'has an overlong encoding': bytes(`{"name":"${CANARY}\xc0\xaf","quota":1}`),
  'has an encoded surrogate': bytes(`{"name":"${CANARY}\xed\xa0\x80","quota":1}`),
  'is UTF-16': new Uint8Array(Buffer.from(`{"name":"${CANARY}","quota":1}`, 'utf16le')),
}
for (const [what, body] of Object.entries(NOT_JSON)) {
  test(`a body that ${what} is not JSON`, async () => {
    for (const [method, path] of [
      ['POST', '/admin/keys'],
      ['PATCH', `/admin/keys/${kept.id}`],
      ['POST', `/admin/keys/${kept.id}/reset`],
    ] as const)
      await expectRefused(await send(method, path, body), 400, 'invalid_json')
  })
}

test('a body that is JSON but no object is refused', async () => {
  for (const body of [
    `["${CANARY}"]`,
    `"${CANARY}"`,
    '1',
    'true',
    'null',
    '[]',
    '[{"name":"x"}]',
  ]) {
    for (const path of ['/admin/keys', `/admin/keys/${kept.id}/reset`]) {
      const answer = await send('POST', path, body)
      expect(await expectRefused(answer, 422, 'validation_failed')).toMatchObject({
        detail: 'The request must be a JSON object.',
      })
    }
  }
})

const JSON_TEXT = `{"name":"${CANARY}","quota":1}`
const WRONG_TYPES = ['text/plain', 'application/x-www-form-urlencoded', 'application/jsonx', 'x']
for (const type of [
  ...WRONG_TYPES,
  'multipart/form-data; boundary=x',
  'application/json, text/x',
]) {
  test(`a body of the type ${type} is refused`, async () => {
    const answer = await send('POST', '/admin/keys', JSON_TEXT, { 'content-type': type })
    await expectRefused(answer, 415, 'unsupported_media_type')
  })
}

test('a compressed body is refused, and so is one that only says so', async () => {
  for (const body of [Bun.gzipSync(JSON_TEXT), JSON_TEXT]) {
    const answer = await send('POST', '/admin/keys', body, { 'content-encoding': 'gzip' })
    await expectRefused(answer, 415, 'unsupported_media_type')
  }
})

test('a body above 256 KiB is refused by its declared length and by its real one', async () => {
  const big = `{"name":"${CANARY}","quota":1,"metadata":{"a":"${'x'.repeat(256 * 1024)}"}}`
  await expectRefused(await send('POST', '/admin/keys', big), 413, 'request_too_large')
  // A stream whose length nobody knows goes in chunks.
  const pieces = async function* () {
    for (let i = 0; i < big.length; i += 50_000) yield Buffer.from(big.slice(i, i + 50_000))
  }
  const chunked = new Response(pieces()).body ?? ''
  await expectRefused(await send('POST', '/admin/keys', chunked), 413, 'request_too_large')
  const keys = Array.from({ length: 100_000 }, (_, i) => `"${CANARY}${i}":${i}`)
  const many = `{"name":"x","quota":1,"metadata":{${keys.join()}}}`
  await expectRefused(await send('POST', '/admin/keys', many), 413, 'request_too_large')
})

test('too many values and too deep a nesting are refused, at any depth a body can hold', async () => {
  const of = (value: string) => `{"name":"${CANARY}","quota":1,"metadata":{"a":${value}}}`
  const many = Array.from({ length: 20_000 }, (_, i) => `"${i}":0`)
  await expectRefused(
    await send('POST', '/admin/keys', of(`{${many.join()}}`)),
    422,
    'validation_failed',
  )
  for (const depth of [20, 100, 1_000, 10_000, 100_000]) {
    const arrays = of('['.repeat(depth) + ']'.repeat(depth))
    await expectRefused(await send('POST', '/admin/keys', arrays), 422, 'validation_failed')
    if (depth > 40_000) continue
    const objects = of(`${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`)
    await expectRefused(await send('POST', '/admin/keys', objects), 422, 'validation_failed')
  }
})

test('nothing sent as __proto__, constructor or prototype reaches a prototype', async () => {
  const polluted = `{"polluted":"${CANARY}"}`
  for (const body of [
    `{"name":"x","quota":1,"__proto__":${polluted}}`,
    `{"name":"x","quota":1,"metadata":{"__proto__":${polluted}}}`,
    `{"name":"x","quota":1,"metadata":{"a":[{"__proto__":${polluted}}]}}`,
    `{"name":"x","quota":1,"constructor":{"prototype":${polluted}}}`,
    `{"name":"x","quota":1,"toString":"${CANARY}"}`,
    `{"__proto__":{"name":"${CANARY}","quota":1}}`,
  ])
    await expectRefused(await send('POST', '/admin/keys', body), 422, 'validation_failed')
  const metadata = { constructor: { prototype: { polluted: 1 } }, hasOwnProperty: 1, toString: 2 }
  const odd = await issueKey(server, { metadata })
  const shown = await (await server.admin('GET', `/admin/keys/${odd.id}`)).json()
  expect(shown).toMatchObject({ metadata })
  const other = await (await server.admin('GET', `/admin/keys/${kept.id}`)).text()
  expect(other).not.toContain('polluted')
  await server.admin('DELETE', `/admin/keys/${odd.id}`)
})

test('NUL and half surrogates are refused wherever text can stand', async () => {
  for (const bad of ['\\u0000', '\\ud800', '\\udc00', '\\udc00\\ud800']) {
    const text = `${CANARY}${bad}`
    for (const body of [
      `{"name":"${text}","quota":1}`,
      `{"name":"x","quota":1,"tags":["${text}"]}`,
      `{"name":"x","quota":1,"timezone":"${text}"}`,
      `{"name":"x","quota":1,"key":"${text}0123456789"}`,
      `{"name":"x","quota":1,"metadata":{"${text}":1}}`,
      `{"name":"x","quota":1,"metadata":{"a":["${text}"]}}`,
      `{"name":"x","quota":1,"${text}":1}`,
    ])
      await expectRefused(await send('POST', '/admin/keys', body), 422, 'validation_failed')
  }
})

test('everything that is wrong with a body is said at once, without its unknown names', async () => {
  const body = `{"name":"","quota":-1,"${CANARY}":1,"limits":[{"unit":"x","${CANARY}":2}]}`
  const answer = await send('POST', '/admin/keys', body)
  const { errors } = (await expectRefused(answer, 422, 'validation_failed')) as {
    errors: { path: string }[]
  }
  expect(errors.map(({ path }) => path).sort()).toEqual([
    '',
    'limits.0',
    'limits.0.amount',
    'limits.0.unit',
    'limits.0.window',
    'name',
    'quota',
  ])
})

test('a value that cannot be written as text is refused by name like any other', async () => {
  const hostile = { toString: null, valueOf: CANARY }
  for (const field of ['name', 'quota', 'tags', 'expires_at', 'metadata']) {
    const answer = await send('POST', '/admin/keys', JSON.stringify({ [field]: hostile }))
    await expectRefused(answer, 422, 'validation_failed')
  }
})
