/** What a key holder reads of the quota on every answer, parsed as a client would: by RFC 9651. */
import { beforeAll, describe, expect, test } from 'bun:test'
import { type Parameters, parseList } from 'structured-headers'
import { settled } from '../support/books.ts'
import { issueKey, startServer, type TestServer } from '../support/server.ts'
import { startUpstream, type Upstream } from '../support/upstream.ts'

const MINUTE_S = 60
const DAY_S = 86_400

let upstream: Upstream
let server: TestServer

beforeAll(async () => {
  upstream = startUpstream(
    ({ url }) => new Response(null, { status: Number(new URL(url).pathname.slice(1)) || 200 }),
  )
  server = await startServer({ PROXY_EGRESS_ALLOW: upstream.host })
})

type Field = { readonly name: unknown; readonly parameters: Record<string, unknown> }

/** A list of strings with parameters, which is what both fields are. */
function readField(response: Response, header: string): Field[] {
  return parseList(response.headers.get(header) ?? '').map(([name, parameters]) => ({
    name,
    parameters: Object.fromEntries((parameters as Parameters).entries()),
  }))
}

const call = (key: string, path = '/200') => server.call(key, { endpoint: upstream.url + path })
const shown = (response: Response, name: string) => response.headers.get(`x-quota-${name}`)

describe('a lifetime quota', () => {
  test('is told without w and t, on answers and on the refusal', async () => {
    const { key } = await issueKey(server, { quota: 3 })
    for (const [status, remaining] of [
      [200, 2],
      [200, 1],
      [200, 0],
      [429, 0],
    ] as const) {
      const response = await call(key)
      expect(response.status).toBe(status)
      expect(readField(response, 'ratelimit-policy')).toEqual([
        { name: 'quota', parameters: { q: 3 } },
      ])
      expect(readField(response, 'ratelimit')).toEqual([
        { name: 'quota', parameters: { r: remaining } },
      ])
      expect([
        shown(response, 'limit'),
        shown(response, 'remaining'),
        shown(response, 'reset'),
      ]).toEqual(['3', String(remaining), null])
      expect(shown(response, 'cost')).toBe(status === 200 ? '1' : null)
      await settled(server)
    }
    const { error } = (await (await call(key)).json()) as { error: Record<string, unknown> }
    expect(error).toMatchObject({ code: 'insufficient_quota', limit: 3, remaining: 0 })
    expect(error).not.toHaveProperty('resets_at')
  })

  test('that is unlimited has no fields, since there is nothing to count down', async () => {
    const response = await call((await issueKey(server, { quota: null })).key)
    for (const name of ['ratelimit', 'ratelimit-policy', 'x-quota-limit', 'x-quota-remaining']) {
      expect(response.headers.has(name)).toBe(false)
    }
    expect(shown(response, 'cost')).toBe('1')
  })

  test('of any size is told in integers that the field allows', async () => {
    const response = await call((await issueKey(server, { quota: Number.MAX_SAFE_INTEGER })).key)
    expect(readField(response, 'ratelimit-policy')[0]?.parameters).toEqual({
      q: 999_999_999_999_999,
    })
    expect(shown(response, 'limit')).toBe('9007199254740991')
  })
})

describe('a quota with a window', () => {
  const windows: [string, (w: number) => boolean][] = [
    ['minute', (w) => w === MINUTE_S],
    ['hour', (w) => w === 60 * MINUTE_S],
    ['day', (w) => w === DAY_S],
    ['week', (w) => w === 7 * DAY_S],
    ['month', (w) => [28, 29, 30, 31].some((days) => w === days * DAY_S)],
  ]
  for (const [window, isLength] of windows) {
    test(`of a ${window} is told with its length and the time until it resets`, async () => {
      const { key } = await issueKey(server, { quota: 1, window })
      for (const status of [200, 429]) {
        const response = await call(key)
        expect(response.status).toBe(status)
        const [policy, ...policies] = readField(response, 'ratelimit-policy')
        const [state, ...states] = readField(response, 'ratelimit')
        expect([policies, states]).toEqual([[], []])
        const { q, w } = policy?.parameters ?? {}
        const { r, t } = state?.parameters ?? {}
        expect([policy?.name, state?.name, q, r]).toEqual(['quota', 'quota', 1, 0])
        expect([Number.isInteger(w), isLength(Number(w)), Number.isInteger(t)]).toEqual([
          true,
          true,
          true,
        ])
        // A sliding window gives back by the sixtieth: what is charged now counts a little longer than its length.
        expect(Number(t)).toBeWithin(0, Number(w) * (1 + 1 / 60) + 1)
        const until = Date.parse(shown(response, 'reset') ?? '')
        expect(Math.abs(until - Date.now() - Number(t) * 1_000)).toBeLessThan(2_000)
        if (status === 429) {
          const { error } = (await response.json()) as { error: Record<string, unknown> }
          const short = ['minute', 'hour'].includes(window)
          expect(error['code']).toBe(short ? 'rate_limit_exceeded' : 'insufficient_quota')
          expect(Number(response.headers.get('retry-after'))).toBeWithin(1, Number(t) + 2)
          expect(Date.parse(String(error['resets_at']))).toBeGreaterThan(Date.now())
          // Who waits an hour by itself looks as if it hung.
          expect(response.headers.get('x-should-retry')).toBe(String(window === 'minute'))
        }
        await settled(server)
      }
    })
  }

  test('beside others is told first, and each of them has a name of its own', async () => {
    const limits = [
      { unit: 'requests', amount: 5, window: 'minute' },
      { unit: 'tokens', amount: 900, window: 'day', name: 'daily-tokens' },
    ]
    const { key } = await issueKey(server, { quota: 100, limits })
    const response = await call(key)
    expect(readField(response, 'ratelimit-policy')).toEqual([
      { name: 'quota', parameters: { q: 100 } },
      { name: 'requests-minute', parameters: { q: 5, w: MINUTE_S } },
      { name: 'daily-tokens', parameters: { q: 900, w: DAY_S, 'qp-unit': 'tokens' } },
    ])
    expect(readField(response, 'ratelimit')).toEqual([
      { name: 'quota', parameters: { r: 99 } },
      { name: 'requests-minute', parameters: { r: 4, t: expect.any(Number) } },
      { name: 'daily-tokens', parameters: { r: 900, t: expect.any(Number) } },
    ])
    expect(shown(response, 'limit')).toBe('100')
  })
})

test('a call that is given back says so: cost 0, and what is left as before', async () => {
  const { key } = await issueKey(server, { quota: 2 })
  const failed = await call(key, '/503')
  expect([failed.status, shown(failed, 'cost'), shown(failed, 'remaining')]).toEqual([
    503,
    '0',
    '2',
  ])
  expect(readField(failed, 'ratelimit')).toEqual([{ name: 'quota', parameters: { r: 2 } }])
  await settled(server)
  const worked = await call(key)
  expect([shown(worked, 'cost'), shown(worked, 'remaining')]).toEqual(['1', '1'])
})

test('every call names its entry in the ledger and its request, and no two are the same', async () => {
  const { key } = await issueKey(server)
  const answers = await Promise.all(Array.from({ length: 20 }, () => call(key)))
  const charges = new Set(answers.map((response) => shown(response, 'charge-id')))
  const requests = new Set(answers.map((response) => response.headers.get('x-request-id')))
  expect([charges.size, requests.size]).toEqual([20, 20])
  for (const charge of charges) expect(charge).toMatch(/^call_\d+$/)
})

test('what was left counts down to zero without a gap when calls come at once', async () => {
  const { key } = await issueKey(server, { quota: 30 })
  const answers = await Promise.all(Array.from({ length: 30 }, () => call(key)))
  const left = answers.map((response) => Number(shown(response, 'remaining')))
  expect(left.sort((a, b) => a - b)).toEqual(Array.from({ length: 30 }, (_, i) => i))
})
