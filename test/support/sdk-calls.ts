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

/**
 * The key's one call was left before its report: it pays for what was read, and for less output than it had reserved, which
 * with its input was more than `tokensMin`.
 */
export async function expectLeftAsEstimated(
  server: TestServer,
  id: string,
  tokensMin: number,
): Promise<void> {
  const [call, ...others] = await callsOf(server, id)
  expect(call).toMatchObject({ outcome: 'client_aborted', estimated: true })
  expect(others).toEqual([])
  const { reserved, charged: tokens, input } = call?.tokens ?? { reserved: 0, charged: 0, input: 0 }
  expect(reserved).toBeGreaterThan(tokensMin)
  expect(tokens).toBeGreaterThan(0)
  expect(tokens - (input ?? 0)).toBeWithin(0, reserved + 1)
  const money = call?.cost.charged ?? 0
  expect(await usedByLimit(server, id)).toEqual({ quota: 1, tokens, money })
}
