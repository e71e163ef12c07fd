/** What must hold of a program that goes through the proxy, whichever SDK it was written with. */
import { expect } from 'bun:test'
import type { ApiServer } from './api-server.ts'
import { callsOf, usedByLimit } from './books.ts'
import type { TestServer } from './server.ts'

/** Through the proxy the client gets what it gets without it, and the API is asked the same. */
export async function expectSame<Client>(
  api: ApiServer,
  ask: (client: Client) => Promise<unknown>,
  { direct, proxied }: { direct: Client; proxied: Client },
): Promise<void> {
  const before = api.asked.length
  const expected = await ask(direct)
  const between = api.asked.length
  expect(await ask(proxied)).toEqual(expected)
  const shown = api.asked.map(({ method, path, json }) => ({ method, path, json }))
  expect(shown.slice(between)).toEqual(shown.slice(before, between))
}

/** The key's one call was left before its report, which may be half there: half a report is none. */
export async function expectLeftAsEstimated(
  server: TestServer,
  id: string,
  tokensMin: number,
): Promise<void> {
  const [call, ...others] = await callsOf(server, id)
  const reserved = call?.tokens.reserved ?? 0
  expect(reserved).toBeGreaterThan(tokensMin)
  expect(call).toMatchObject({
    outcome: 'client_aborted',
    estimated: true,
    tokens: { charged: reserved, refunded: 0, input: null, output: null },
  })
  expect(others).toEqual([])
  const money = call?.cost.reserved ?? 0
  expect(await usedByLimit(server, id)).toEqual({ quota: 1, tokens: reserved, money })
}
