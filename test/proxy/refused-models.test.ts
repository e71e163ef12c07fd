/** The log says of a refused call which model it asked for, as far as that was read. */
import { expect, test } from 'bun:test'
import { addUpstream } from '../support/named-upstream.ts'
import { issueKey, startServer } from '../support/server.ts'
import { settledLogs } from '../support/settled-logs.ts'
import { startUpstream } from '../support/upstream.ts'

const upstream = startUpstream(() => Response.json({ usage: { total_tokens: 5 } }))
const server = await startServer({ LOG_LEVEL: 'info' })
const meter = { kind: 'tokens', output_tokens_default: 10 }
const base_url = upstream.url
const METERED = { base_url, meter, model_aliases: { nick: 'real-name' } }
await addUpstream(server, {
  ...METERED,
  name: 'shop',
  prices: [{ model: 'm', input: 1, output: 1 }],
})
await addUpstream(server, { ...METERED, name: 'closed', paths: ['/v1/chat/**'] })
await addUpstream(server, { base_url, name: 'plain', meter: { kind: 'none' } })

const LIMIT = { name: 'work', window: 'day' }
const none = { quota: 0 }
const tokens = { quota: null, limits: [{ ...LIMIT, unit: 'tokens', amount: 3 }] }
const money = { quota: null, limits: [{ ...LIMIT, unit: 'cost', amount: 1_000_000 }] }
const some = { quota: null, models: ['m', 'small-*'] }

const chat = '/chat/completions'
const long = { messages: [{ role: 'user', content: 'x'.repeat(200_000) }] }
function form(model: string): FormData {
  const fields = new FormData()
  fields.set('model', model)
  fields.set('file', new Blob(['sound']), 'a.wav')
  return fields
}

type Case = [
  what: string,
  key: Record<string, unknown>,
  path: string,
  body: object | string | FormData | null,
  code: string,
  model: string | null,
]

const cases: Case[] = [
  ['that the key may not use', some, `shop${chat}`, { model: 'big' }, 'model_not_allowed', 'big'],
  [
    'among others that it may use',
    some,
    `shop${chat}`,
    { model: 'm', models: ['small-1', 'big', 'small-2'] },
    'model_not_allowed',
    'big',
  ],
  ['without a meter', some, `plain${chat}`, { model: 'big' }, 'model_not_allowed', 'big'],
  ['in a form', some, 'shop/audio/transcriptions', form('big'), 'model_not_allowed', 'big'],
  ['in the path', some, 'shop/engines/big/completions', {}, 'model_not_allowed', 'big'],
  [
    'in the query',
    some,
    `shop${chat}?model=m&model=big`,
    { model: 'm' },
    'model_not_allowed',
    'big',
  ],
  ['without quota', none, `shop${chat}`, { model: 'm' }, 'insufficient_quota', 'm'],
  ['by its alias', none, `shop${chat}`, { model: 'nick' }, 'insufficient_quota', 'nick'],
  ['without quota, in the path', none, 'shop/engines/e/completions', {}, 'insufficient_quota', 'e'],
  ['without quota or body', none, 'shop/engines/e/cancel', null, 'insufficient_quota', 'e'],
  [
    'for more tokens than are left',
    tokens,
    `shop${chat}`,
    { model: 'm' },
    'cost_exceeds_quota',
    'm',
  ],
  ['without a price', money, `shop${chat}`, { model: 'dear' }, 'model_not_priced', 'dear'],
  [
    'for work that is reported later',
    tokens,
    'shop/responses',
    { model: 'm', input: 'x', background: true },
    'deferred_work_not_allowed',
    'm',
  ],
  ['with an empty step', some, `shop/${chat}`, { model: 'm' }, 'malformed_request', 'm'],
  [
    'that is no name',
    none,
    `shop${chat}`,
    { model: 'x"\u001b\u2028y' },
    'insufficient_quota',
    'x"\u001b\u2028y',
  ],

  ['that names no model', some, `shop${chat}`, { x: 1 }, 'model_not_allowed', null],
  ['that is not metered', none, `plain${chat}`, { model: 'm' }, 'insufficient_quota', null],
  [
    'at a path that the key may not call',
    { ...some, paths: ['/chat/**'] },
    'shop/engines/big/completions',
    {},
    'path_not_allowed',
    null,
  ],
  ['at a path that is closed', {}, 'closed/v1/files', { model: 'm' }, 'path_not_allowed', null],
  [
    'too long to be read for nothing',
    none,
    `shop${chat}`,
    { model: 'm', ...long },
    'insufficient_quota',
    null,
  ],
  ['that names two', some, `shop${chat}`, '{"model":"m","model":"big"}', 'invalid_request', null],
  ['that nobody can read', some, `plain${chat}`, 'x', 'model_not_allowed', null],
]

for (const [what, key, path, body, code, model] of cases) {
  test.concurrent(`a call ${what}: ${model}`, async () => {
    const holder = await issueKey(server, key)
    const isText = typeof body === 'string' || body === null || body instanceof FormData
    const isJson = !isText || (typeof body === 'string' && body.startsWith('{'))
    const answer = await fetch(`${server.url}/u/${path}`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${holder.key}`,
        ...(isJson && { 'content-type': 'application/json' }),
      },
      body: isText ? body : JSON.stringify(body),
    })
    await answer.arrayBuffer()
    const id = answer.headers.get('x-request-id') ?? 'none'
    const line = (await settledLogs(server)).split('\n').find((one) => one.includes(id)) ?? '{}'
    const told = JSON.parse(line) as object
    expect(told).toMatchObject({ outcome: 'refused', code, model, key_id: holder.id, tokens: 0 })
  })
}

test.concurrent('a call to an endpoint that is not allowed says so as well', async () => {
  const { key } = await issueKey(server, some)
  const endpoint = 'http://169.254.169.254/v1/chat/completions'
  const answer = await server.call(key, { endpoint, method: 'POST', body: { model: 'm' } })
  expect(answer.status).toBe(403)
  const id = answer.headers.get('x-request-id') ?? 'none'
  const line = (await settledLogs(server)).split('\n').find((one) => one.includes(id)) ?? '{}'
  expect(JSON.parse(line)).toMatchObject({ code: 'target_not_allowed', model: 'm' })
})
