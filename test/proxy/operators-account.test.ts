/** Refusals that an upstream means for the operator: who holds a key does not pay for them. */
import { expect, test } from 'bun:test'
import { gzipSync } from 'node:zlib'
import { callsOf } from '../support/books.ts'
import { addUpstream } from '../support/named-upstream.ts'
import { issueKey, startServer } from '../support/server.ts'
import { startUpstream } from '../support/upstream.ts'

type Answer = {
  readonly status: number
  readonly body: unknown
  /** Requests that it costs under `attempt`, `answer`, `success`. */
  readonly costs: readonly [number, number, number]
}

const FREE = [1, 0, 0] as const
const NO_SUCCESS = [1, 1, 0] as const
const error = (fields: object) => ({ error: fields })

const ANSWERS: Readonly<Record<string, Answer>> = {
  'OpenAI, too fast': { status: 429, body: error({ code: 'rate_limit_exceeded' }), costs: FREE },
  'OpenAI, no quota': { status: 429, body: error({ code: 'insufficient_quota' }), costs: FREE },
  'a gateway, too slow': { status: 408, body: error({ message: 'timeout' }), costs: FREE },
  'DeepSeek, no balance': { status: 402, body: error({ message: 'Insufficient Balance' }), costs: FREE },
  'Anthropic, overloaded': { status: 529, body: error({ type: 'overloaded_error' }), costs: FREE },
  'Anthropic, no credit': {
    status: 400,
    body: error({
      type: 'invalid_request_error',
      message: 'Your credit balance is too low to access the Anthropic API.',
    }),
    costs: FREE,
  },
  'OpenAI, hard limit': { status: 400, body: error({ code: 'billing_hard_limit_reached' }), costs: FREE },
  'Model Studio, in arrears': { status: 400, body: { code: 'Arrearage', message: '' }, costs: FREE },
  'a wrong request': { status: 400, body: error({ code: 'invalid_value' }), costs: NO_SUCCESS },
  'a request that names a quota': {
    status: 400,
    body: error({ message: 'no model insufficient_quota', code: null }),
    costs: NO_SUCCESS,
  },
  'what is no error': { status: 400, body: ['insufficient_quota', null], costs: NO_SUCCESS },
  'no such path': { status: 404, body: error({ code: 'insufficient_quota' }), costs: NO_SUCCESS },
} // biome-ignore format: a table

const upstream = startUpstream((request) => {
  const { pathname, searchParams } = new URL(request.url)
  const answer = Object.values(ANSWERS)[Number(pathname.split('/').at(-1))]
  const text = JSON.stringify(answer?.body)
  const status = answer?.status ?? 500
  // In one piece of unknown length, as a gateway sends it that packs and unpacks.
  if (searchParams.has('streamed')) return new Response(new Blob([text]).stream(), { status })
  if (searchParams.has('pieces')) return new Response(inPieces(text), { status })
  if (!searchParams.has('packed')) return new Response(text, { status })
  return new Response(gzipSync(text), { status, headers: { 'content-encoding': 'gzip' } })
})
async function* inPieces(text: string) {
  for (const piece of [text.slice(0, 9), text.slice(9)]) {
    await Bun.sleep(5)
    yield Buffer.from(piece)
  }
}
/** Of the holder's own choice. */
const other = startUpstream(() => new Response('slow down', { status: 429 }))
const server = await startServer({ PROXY_EGRESS_ALLOW: other.host })
const POLICIES = ['attempt', 'answer', 'success'] as const
for (const name of POLICIES)
  await addUpstream(server, { name, base_url: upstream.url, charge_on: name })

for (const [i, [name, { status, costs }]] of Object.entries(ANSWERS).entries()) {
  test(`${name}: ${status} costs what it should`, async () => {
    for (const query of ['', '?streamed', '?pieces', '?packed']) {
      const charged: (number | undefined)[] = []
      for (const policy of POLICIES) {
        const { key, id } = await issueKey(server)
        const response = await fetch(`${server.url}/u/${policy}/${i}${query}`, {
          method: 'POST',
          headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
          body: '{"model":"m","max_tokens":5000}',
        })
        expect(response.status).toBe(status)
        await response.bytes()
        const [call] = await callsOf(server, id)
        expect(call).toMatchObject({ tokens: { charged: 0 }, estimated: false })
        expect(response.headers.get('x-quota-cost')).toBe(String(call?.requests.charged))
        charged.push(call?.requests.charged)
      }
      expect(charged).toEqual([...costs])
    }
  })
}

test('an endpoint that the holder has chosen is paid for, whatever it says', async () => {
  const { key, id } = await issueKey(server)
  const response = await server.call(key, { endpoint: other.url })
  expect(response.status).toBe(429)
  expect(await callsOf(server, id)).toMatchObject([{ requests: { charged: 1 } }])
})
