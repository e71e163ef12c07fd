/** The wrong values of every field of a key, one by one and at random: refused by name, never stored, never said back. */
import { afterEach, expect, test } from 'bun:test'
import fc from 'fast-check'
import { issueKey, startServer } from '../support/server.ts'
import { settledLogs } from '../support/settled-logs.ts'

const server = await startServer()
const CANARY = 'zQ7canaryX'
const kept = await issueKey(server, { name: 'kept', quota: 7 })
const before = await state()

async function state(): Promise<unknown> {
  return (await server.admin('GET', '/admin/keys?limit=100')).json()
}

afterEach(async () => {
  const logs = await settledLogs(server)
  const secrets = [CANARY, server.adminToken, kept.key]
  expect(secrets.filter((secret) => logs.includes(secret))).toEqual([])
  expect(server.events().filter((event) => event['level'] === 'error')).toEqual([])
})

function send(method: string, path: string, body: string): Promise<Response> {
  const authorization = `Bearer ${server.adminToken}`
  const headers = { authorization, 'content-type': 'application/json' }
  return fetch(server.url + path, { method, headers, body })
}

/** Values as JSON text, since some cannot be written otherwise. */
const text = (value: unknown) => JSON.stringify(value)
const NUMBERS = ['-1', '0.5', '1e400', '-1e400', '9007199254740992', '9007199254740993', '1e16']
const OTHERS = ['true', text('1'), text(CANARY), '[]', '[1]', '{}', text({ [CANARY]: 1 })]
const NOT_AMOUNTS = [...NUMBERS, ...OTHERS]
const NOT_TEXT = ['null', '1', 'true', '[]', text([CANARY]), text({ a: CANARY })]
const NOT_LISTS = [text(CANARY), '1', '{}', text([1]), text([[CANARY]]), text(Array(101).fill('a'))]
const CONTROL = ['\t', '\n', '\r', '\x1b[31m', '\x7f', '\x85', '\u2028', '\u2029']
const limit = (field: string) => {
  const own = ['"unit":"requests"', '"amount":1', '"window":"day"']
  const [name = ''] = field.split(':')
  return `[{${[...own.filter((one) => !one.startsWith(name)), field].join()}}]`
}

const WRONG: Record<string, readonly string[]> = {
  name: [
    ...NOT_TEXT,
    text(''),
    text(CANARY.repeat(21)),
    ...CONTROL.map((character) => text(`${CANARY}${character}x`)),
  ],
  quota: NOT_AMOUNTS,
  expires_at: [
    ...NOT_TEXT.slice(1),
    '1767225600',
    '1767225600000',
    ...[
      '', CANARY, 'tomorrow', '2026-02-30T00:00:00Z', '2026-13-01T00:00:00Z', '2026-00-10T00:00:00Z',
      '2026-01-01T24:01:00Z', '2026-01-01T00:60:00Z', '2026-01-01T00:00:00', '2026-01-01', '20260101T000000Z',
      '10000-01-01T00:00:00Z', '+010000-01-01T00:00:00Z', '9999-12-31T23:59:59-23:59', '-000001-01-01T00:00:00Z',
      '1969-12-31T23:59:59Z', '2026-01-01T00:00:00+25:00', '2026-01-01T00:00:00Z[UTC]', ' 2026-01-01T00:00:00Z',
      '2026-01-01T00:00:00Z\n', '2026-W01-1T00:00:00Z', '２０２６-01-01T00:00:00Z',
    ].map(text), // biome-ignore format: instants
  ],
  window: [...NOT_TEXT, text('year'), text('Day'), text(CANARY)],
  timezone: [...NOT_TEXT, ...['', CANARY, 'Mars/Base', '+08:00', 'UTC+1', '../UTC'].map(text)],
  week_start: [...NOT_TEXT, text('Monday'), text('friday'), text(CANARY)],
  concurrency: [...NOT_AMOUNTS, '0', '100001'],
  upstreams: [...NOT_LISTS, text(['Upper']), text(['']), text([`a${'b'.repeat(63)}`])],
  methods: [...NOT_LISTS, text([`${CANARY} x`]), text([''])],
  paths: [...NOT_LISTS, text([CANARY]), text(['!/']), text([`/${'a'.repeat(256)}`])],
  models: [...NOT_LISTS, text([`!${CANARY}`]), text(['']), text(['a'.repeat(257)])],
  ip_allow: [...NOT_LISTS, text([`${CANARY}.example`]), text(['10.0.0.0/33']), text(['::1%lo'])],
  enabled: ['null', '1', '0', text('true'), '[]', text(CANARY)],
  tags: [
    text(CANARY),
    'null',
    '{}',
    text([1]),
    text([[CANARY]]),
    text(['']),
    text([null]),
    text([CANARY.repeat(7)]),
    text([`${CANARY}\n`]),
    text(Array(33).fill(CANARY)),
  ],
  metadata: [
    'null', '1', '[]', text([CANARY]), text(CANARY),
    text(Object.fromEntries(Array.from({ length: 65 }, (_, i) => [CANARY + i, 1]))),
  ], // biome-ignore format: short
  limits: [
    text(CANARY),
    'null',
    '{}',
    '[1]',
    '[null]',
    text([CANARY]),
    '[[]]',
    `[${Array.from({ length: 17 }, (_, i) => limit(`"name":"l${i}"`).slice(1, -1)).join()}]`,
    limit('"unit":"bytes"'),
    limit('"unit":null'),
    ...NOT_AMOUNTS.map((value) => limit(`"amount":${value}`)),
    limit('"window":"year"'),
    limit(`"timezone":"${CANARY}"`),
    limit('"week_start":"friday"'),
    limit(`"${CANARY}":1`),
    limit('"name":""'),
    limit('"name":"Big"'),
    limit('"name":"1st"'),
    limit('"name":"quota"'),
    limit(`"name":"${'a'.repeat(33)}"`),
    '[{}]',
    '[{"unit":"requests"}]',
  ],
}
/** Only of a new key. */
const WRONG_NEW: Record<string, readonly string[]> = {
  key: [
    ...NOT_TEXT,
    text(''),
    text(CANARY),
    text(`${CANARY} with spaces`),
    text(CANARY.repeat(26)),
  ],
  prefix: [...NOT_TEXT, text(''), text(CANARY), text('Trial_'), text('trial'), text('key_')],
}

async function expectRefused(answer: Response, path: string, value: string): Promise<void> {
  const body = await answer.text()
  expect({ value, status: answer.status, body }).toMatchObject({ status: 422 })
  const problem = JSON.parse(body) as { code: string; errors: { path: string; message: string }[] }
  expect(problem.code).toBe('validation_failed')
  const paths = problem.errors.map((error) => error.path)
  expect({ value, paths }).toEqual({ value, paths: paths.filter((own) => own.startsWith(path)) })
  for (const { message } of problem.errors)
    expect(message).toMatch(/^(must|has an unknown field|cannot)/)
  expect(body).not.toContain(CANARY)
}

for (const [field, values] of Object.entries({ ...WRONG, ...WRONG_NEW })) {
  test(`a wrong ${field} is refused by name, on a new key and as a change`, async () => {
    for (const value of values) {
      const fields = { name: '"x"', quota: '1', [field]: value }
      const body = `{${Object.entries(fields)
        .map(([name, one]) => `"${name}":${one}`)
        .join()}}`
      await expectRefused(await send('POST', '/admin/keys', body), field, value)
      if (field in WRONG_NEW) continue
      const change = await send('PATCH', `/admin/keys/${kept.id}`, `{"${field}":${value}}`)
      await expectRefused(change, field, value)
    }
    expect(await state()).toEqual(before)
  })
}

test('a wrong quota of a reset is refused and resets nothing', async () => {
  for (const value of NOT_AMOUNTS) {
    const answer = await send('POST', `/admin/keys/${kept.id}/reset`, `{"quota":${value}}`)
    await expectRefused(answer, 'quota', value)
  }
  expect(await state()).toEqual(before)
})

test('what only a new key takes cannot be changed later', async () => {
  for (const field of ['key', 'prefix', 'id', 'used', 'hint', 'created_at', 'hash']) {
    const answer = await send('PATCH', `/admin/keys/${kept.id}`, `{"${field}":"${CANARY}"}`)
    await expectRefused(answer, '', field)
  }
  await expectRefused(await send('PATCH', `/admin/keys/${kept.id}`, '{}'), '', '{}')
  expect(await state()).toEqual(before)
})

const RIGHT: Record<string, readonly string[]> = {
  name: [text('x'), text('x'.repeat(200)), text('名前 🔑 "quoted" <b>'), text('null')],
  quota: ['0', '-0', '1', '1e3', '9007199254740991', 'null'],
  expires_at: ['null', ...['2096-02-29T23:59:59.999Z', '2096-01-01t00:00:00z'].map(text)],
  tags: ['[]', text(['a', 'a']), text(['日本'])],
  metadata: ['{}', text({ a: { b: [1, 2.5, null, true, ''] } })],
}
for (const [field, values] of Object.entries(RIGHT)) {
  test(`the outermost right values of ${field} are taken as they are`, async () => {
    for (const value of values) {
      const fields = { name: '"x"', quota: '1', [field]: value }
      const body = `{${Object.entries(fields)
        .map(([name, one]) => `"${name}":${one}`)
        .join()}}`
      const answer = await send('POST', '/admin/keys', body)
      const created = (await answer.json()) as Record<string, unknown>
      expect({ value, status: answer.status }).toEqual({ value, status: 201 })
      if (field !== 'expires_at')
        expect(created[field]).toEqual(JSON.parse(value === '-0' ? '0' : value))
      await server.admin('DELETE', `/admin/keys/${created['id']}`)
    }
    expect(await state()).toEqual(before)
  })
}

test('no JSON at all makes the server fail, or changes anything that it does not answer for', async () => {
  const names = [...Object.keys(WRONG), ...Object.keys(WRONG_NEW), CANARY, '__proto__', '']
  const value = fc.oneof(
    fc.jsonValue({ stringUnit: 'binary' }).map(text),
    fc.constantFrom(...Object.values(WRONG).flat(), ...Object.values(RIGHT).flat()),
  )
  const object = fc.dictionary(fc.constantFrom(...names), value, { maxKeys: 6 }).map((fields) => {
    const members = Object.entries({ name: '"x"', quota: '1', ...fields })
    return `{${members.map(([name, json]) => `${text(name)}:${json}`).join()}}`
  })
  const body = fc.oneof(fc.json(), object)
  await fc.assert(
    fc.asyncProperty(body, async (sent) => {
      const created = await send('POST', '/admin/keys', sent)
      const answer = (await created.json()) as { id?: string }
      expect([201, 400, 409, 413, 422]).toContain(created.status)
      if (created.status === 201) await server.admin('DELETE', `/admin/keys/${answer.id}`)
      expect(await state()).toEqual(before)

      const { id } = await issueKey(server)
      const old = await (await server.admin('GET', `/admin/keys/${id}`)).json()
      const changed = await send('PATCH', `/admin/keys/${id}`, sent)
      await changed.text()
      expect([200, 400, 413, 422]).toContain(changed.status)
      const now = await (await server.admin('GET', `/admin/keys/${id}`)).json()
      if (changed.status !== 200) expect(now).toEqual(old)
      await server.admin('DELETE', `/admin/keys/${id}`)
    }),
    { numRuns: 150 },
  )
}, 60_000)
