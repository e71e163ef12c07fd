/** What must hold of every unchanged SDK that goes through the proxy to its vendor, whichever vendor it is. */
import { afterAll, describe, expect, test } from 'bun:test'
import type { Call } from '../../../src/modules/calls/model.ts'
import type { ApiServer } from '../api-server.ts'
import { holds, until } from '../books.ts'
import { addUpstream } from '../named-upstream.ts'
import { issueKey, startServer, type TestServer } from '../server.ts'

/** Micro-units for a token: 1, 0.1 from the cache, 5 for output. */
const PRICES = [{ model: '*', input: 1_000_000, cached_input: 100_000, output: 5_000_000 }]
const LIMITS = [
  { name: 'tokens', unit: 'tokens', amount: 10_000_000, window: 'lifetime' },
  { name: 'money', unit: 'cost', amount: 100_000_000, window: 'lifetime' },
]
/** The proxy may read on for a while after its client has left. */
const LEFT_MS_MAX = 15_000

export type Used = {
  readonly input: number
  readonly output: number
  readonly cached?: number
  readonly reasoning?: number
}

/** A question, and what it uses: as the API says, or as the SDK has read it of the answer. */
export type Ask<Client> = readonly [
  (client: Client) => Promise<unknown>,
  Used | ((answer: never) => Used),
]

export type Sdk<Client> = {
  readonly api: ApiServer
  /** The API's base URL as its path. */
  readonly base: string
  readonly credential: Readonly<Record<string, string>>
  /** A client of the SDK for a base URL and a key. */
  readonly connect: (baseUrl: string, key: string) => Client
  /** What is asked. Its answer is compared with the one without the proxy. */
  readonly asks: Readonly<Record<string, Ask<Client>>>
  /** What costs no tokens. */
  readonly free?: Readonly<Record<string, (client: Client) => Promise<unknown>>>
  /** Reads a part of a stream that stalls, and leaves it. */
  readonly leave: (client: Client) => Promise<unknown>
  /** What the stalled stream has said of its input; 0 if nothing. */
  readonly leftInput: number
  /** Asks when nothing is left. */
  readonly exhausted: Readonly<Record<string, (client: Client) => Promise<unknown>>>
  /** The SDK's own error for a status of 429. */
  readonly isOwnError: (error: unknown) => boolean
}

export async function testSdk<Client>(sdk: Sdk<Client>): Promise<void> {
  const { api, base, credential } = sdk
  const server = await startServer()
  afterAll(() => server.stop())
  const shared = { base_url: api.url + base, credential, prices: PRICES }
  await addUpstream(server, { name: 'vendor', mount: '/vendor', ...shared })
  const secret = credential['secret'] ?? ''
  const direct = sdk.connect(api.url + base, secret)
  const holder = async (fields: object = {}) => {
    const { key, id } = await issueKey(server, { quota: null, limits: LIMITS, ...fields })
    return { id, client: sdk.connect(`${server.url}/vendor`, key) }
  }

  for (const [what, [ask, used]] of Object.entries(sdk.asks)) {
    test(`${what} is the same as without the proxy, and charged to the token`, async () => {
      const { client, id } = await holder()
      const expected = await ask(direct)
      expect(await ask(client)).toEqual(expected)
      expectCharged(
        await callsOf(server, id),
        typeof used === 'function' ? used(expected as never) : used,
      )
    })
  }

  for (const [what, ask] of Object.entries(sdk.free ?? {})) {
    test(`${what} is the same as without the proxy, and costs no tokens`, async () => {
      const { client, id } = await holder()
      const expected = await ask(direct)
      expect(await ask(client)).toEqual(expected)
      expect((await callsOf(server, id)).map(({ tokens }) => tokens.charged)).toEqual([0])
    })
  }

  test('a stream that is left in the middle is ended at the API, and charged once for what was had', async () => {
    const { client, id } = await holder()
    const before = api.left.length
    await sdk.leave(client)
    await until(() => api.left.length > before, LEFT_MS_MAX)
    const [call, ...others] = await callsOf(server, id)
    expect(others).toEqual([])
    expect(call).toMatchObject({ outcome: 'client_aborted', estimated: true })
    const { charged, reserved } = call?.tokens ?? { charged: -1, reserved: -1 }
    // The answers are a sentence long, and all reservations are far larger.
    expect(charged).toBeGreaterThanOrEqual(sdk.leftInput)
    expect(charged).toBeLessThan(sdk.leftInput + 150)
    expect(reserved).toBeGreaterThan(charged)
  }, 40_000)

  describe('a key with nothing left', () => {
    for (const [what, ask] of Object.entries(sdk.exhausted)) {
      // Beside each other, since some SDKs wait for seconds before they try again.
      test.concurrent(`raises the SDK’s own error, and reaches no API: ${what}`, async () => {
        const { client, id } = await holder({ quota: 0 })
        const before = api.asked.length
        const error = await ask(client).then(
          () => 'no error',
          (thrown: unknown) => thrown,
        )
        if (!sdk.isOwnError(error)) expect(error).toBe('the error of the SDK with the status 429')
        expect(api.asked.length).toBe(before)
        const sent = () => server.events().filter((event) => event['key_id'] === id)
        await until(() => sent().length > 0)
        // Some SDKs try again by themselves, but none for ever.
        expect(sent().length).toBeLessThanOrEqual(4)
        expect(await callsOf(server, id)).toEqual([])
      }, 20_000)
    }
  })
}

async function callsOf(server: TestServer, id: string): Promise<Call[]> {
  await until(async () => (await holds(server)) === 0, LEFT_MS_MAX)
  const response = await server.admin('GET', `/admin/calls?key=${id}&limit=100`)
  const { data } = (await response.json()) as { data: Call[] }
  // A request that an API has refused for what the proxy put into it is given back, and goes out again as another call.
  return data.filter(({ status, requests }) => status !== 422 || requests.charged > 0)
}

function expectCharged(calls: Call[], { input, output, cached = 0, reasoning = 0 }: Used): void {
  const shown = calls.map(({ outcome, estimated, tokens, cost }) => {
    const { charged, input, output, cached, reasoning } = tokens
    return { outcome, estimated, charged, input, output, cached, reasoning, cost: cost.charged }
  })
  const cost = Math.ceil(input - cached + cached / 10 + output * 5)
  const charged = input + output
  const all = { charged, input, output, cached, reasoning, cost }
  expect(shown).toEqual([{ outcome: 'answered', estimated: false, ...all }])
}

export async function all<T>(
  items: PromiseLike<AsyncIterable<T>> | AsyncIterable<T>,
): Promise<T[]> {
  return Array.fromAsync(await items)
}

/** Reads so many items, and no further. */
export async function some<T>(items: AsyncIterable<T>, count: number): Promise<void> {
  let read = 0
  for await (const _ of items) if (++read >= count) return
}
