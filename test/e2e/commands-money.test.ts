/** Money as commands take and show it: decimal amounts, in the currency of the server that is spoken to. */
import { expect, test } from 'bun:test'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { settled } from '../support/books.ts'
import { runCommand } from '../support/command.ts'
import { COMMAND, startServer, type TestServer, temporaryDirectory } from '../support/server.ts'
import { startUpstream } from '../support/upstream.ts'

const upstream = startUpstream(() =>
  Response.json({
    model: 'm',
    usage: { prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 },
    choices: [{ message: { content: 'x' } }],
  }),
)
const server = await startServer({ CURRENCY: 'CNY' })
await server.admin('POST', '/admin/upstreams', {
  name: 'priced',
  base_url: upstream.url,
  prices: [{ model: '*', input: 1_500_000, output: 2_000_000, per_call: 1_234_567 }],
})

function at({ url, adminToken }: TestServer): readonly string[] {
  const file = join(temporaryDirectory(), 'token')
  writeFileSync(file, adminToken)
  return ['--url', url, '--token-file', file]
}

/** By the socket, and from a machine whose own settings say something else. */
const WAYS = {
  socket: (args: readonly string[]) =>
    runCommand([...COMMAND, ...args], { DATA_DIR: server.dataDir }),
  url: (args: readonly string[]) =>
    runCommand([...COMMAND, ...args, ...at(server)], {
      DATA_DIR: temporaryDirectory(),
      CURRENCY: 'EUR',
    }),
}

type Limits = { readonly limits: readonly { readonly name: string; readonly credited: number }[] }

async function out(way: keyof typeof WAYS, ...args: string[]): Promise<string> {
  const ended = await WAYS[way](args)
  if (ended.code !== 0) throw new Error(`${args.join(' ')}: ${ended.err}`)
  return ended.out
}

test('every view shows the money of a call as the same amount, with the currency of the server', async () => {
  const limit = ['--limit', 'cost=5.50/month', '--reserve-max', 'tokens=8000,cost=3.25']
  const key = JSON.parse(
    await out('socket', 'keys', 'create', 'Ada', '--quota', '9', ...limit, '--json'),
  ) as { id: string; key: string; reserve_max: unknown }
  expect(key.reserve_max).toEqual({ tokens: 8000, cost: 3_250_000 })
  const answer = await fetch(`${server.url}/u/priced/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key.key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'm', messages: [], max_tokens: 5 }),
  })
  await answer.text()
  expect(answer.status).toBe(200)
  await settled(server)
  const [call] = JSON.parse(await out('socket', 'calls', '--json')) as {
    id: string
    cost: { charged: number }
  }[]
  expect(call?.cost.charged).toBe(1_234_567)

  for (const way of ['socket', 'url'] as const) {
    for (const args of [['usage'], ['usage', '--by', 'model'], ['calls'], ['top', '--once']]) {
      const table = await out(way, ...args)
      expect([args, table]).toEqual([args, expect.stringContaining('COST (CNY)')])
      expect([args, table]).toEqual([args, expect.stringMatching(/ 1\.234567(?: |\n)/)])
    }
    expect(await out(way, 'calls', call?.id ?? '')).toMatch(
      /cost +1\.234567 charged, [\d.]+ reserved \(CNY\)/,
    )
    const shown = await out(way, 'keys', 'show', key.id)
    expect(shown).toMatch(/cost-month +cost \(CNY\) +month +5\.50 +0\.00 +1\.234567 +4\.265433/)
    expect(shown).toMatch(/reserve-max +8,000 tokens, 3\.25 CNY/)
    expect(await out(way, 'upstreams', 'show', 'priced')).toMatch(
      /prices +\*: input 1\.50, output 2\.00, per_call 1\.234567 \(CNY\)/,
    )
    expect(await out(way, 'prices', 'list', '--upstream', 'priced')).toContain(
      'In CNY for a million',
    )
    for (const args of [['usage'], ['usage', '--by', 'key'], ['calls']]) {
      const [head = '', row = ''] = (await out(way, ...args, '--csv')).split('\n')
      const at = (name: string) => row.split(',')[head.split(',').indexOf(name)]
      expect([args, at('cost'), at('currency')]).toEqual([args, '1.234567', 'CNY'])
    }
  }
})

test('the API names the currency beside its whole numbers', async () => {
  for (const path of ['/admin/usage', '/admin/usage?by=day', '/admin/calls'])
    expect(await (await server.admin('GET', path)).json()).toMatchObject({ currency: 'CNY' })
  const made = await server.admin('POST', '/admin/keys', { name: 'me', quota: 1 })
  const { key } = (await made.json()) as { key: string }
  const me = await fetch(`${server.url}/me`, { headers: { authorization: `Bearer ${key}` } })
  expect(await me.json()).toMatchObject({ currency: 'CNY' })
})

test('credit is money for a limit in money, and a whole number for every other one', async () => {
  const create = ['keys', 'create', 'Bob', '--quota', '9', '--limit', 'big:cost=1/day']
  const { id } = JSON.parse(await out('socket', ...create, '--json')) as { id: string }
  const credit = async (...args: string[]) => {
    const { limits } = JSON.parse(
      await out('url', 'keys', 'credit', id, ...args, '--json'),
    ) as Limits
    return limits.map(({ credited }) => credited)
  }
  expect(await credit('5.50', '--limit', 'big')).toEqual([0, 5_500_000])
  expect(await credit('-0.000001', '--limit', 'big')).toEqual([0, 5_499_999])
  expect(await credit('3')).toEqual([3, 5_499_999])
  const adjustments = await out('url', 'keys', 'adjustments', id)
  expect(adjustments).toMatch(/credit +quota +3 /)
  expect(adjustments).toMatch(/credit +big +-0\.000001 CNY/)
  expect(adjustments).toMatch(/credit +big +5\.50 CNY/)
  for (const args of [['1.5'], ['0.0000001', '--limit', 'big'], ['1e3', '--limit', 'big']])
    expect((await WAYS.url(['keys', 'credit', id, ...args])).code).toBe(2)
  const unknown = await WAYS.url(['keys', 'credit', id, '1', '--limit', 'small'])
  expect([unknown.code, unknown.err]).toEqual([1, expect.stringContaining('limit')])
})

test('prices in another currency are not entered as if they were in this one', async () => {
  const preset = ['prices', 'import', '--preset', 'openai', '--upstream', 'priced']
  const refused = await WAYS.url(preset)
  expect([refused.code, refused.err]).toEqual([2, expect.stringContaining('are in USD')])
  const table = join(temporaryDirectory(), 'table.json')
  const entry = { litellm_provider: 'x', input_cost_per_token: 1e-6, output_cost_per_token: 1e-6 }
  writeFileSync(table, JSON.stringify({ m: entry }))
  const warned = await WAYS.url(['prices', 'import', table, '--upstream', 'priced', '--dry-run'])
  expect(warned.err).toContain('taken as CNY')
  expect(warned.out).toContain('In CNY for a million tokens')
})

test('an upstream without prices is told of through --url too, when keys are made, changed, imported and examined', async () => {
  const bare = await startServer({ UPSTREAM_BASE_URL: upstream.url })
  const run = (...args: string[]) =>
    runCommand([...COMMAND, ...args, ...at(bare)], {
      DATA_DIR: temporaryDirectory(),
    })
  expect((await run('doctor')).out).toMatch(/ok +prices +no key/)
  const limit = ['--limit', 'cost=1/day', '--tag', 'course']
  const says = 'warning: default has no prices'
  expect((await run('keys', 'create', 'a', '--quota', '1', ...limit)).err).toContain(says)
  expect((await run('keys', 'update', 'a', '--quota', '2')).err).toContain(says)
  const bulk = await run('keys', 'update', '--tag', 'course', '--quota', '3', '--yes')
  expect(bulk.err).toContain(says)
  const rows = join(temporaryDirectory(), 'rows.csv')
  writeFileSync(rows, 'name,quota,limit:cost/day\nb,1,2.50\n')
  expect((await run('keys', 'import', rows)).err).toContain(says)
  const { out: found, code } = await run('doctor')
  expect([code, found]).toEqual([
    0,
    expect.stringMatching(/warn +prices +1 upstreams have no prices, such as default/),
  ])
  const here = { DATA_DIR: bare.dataDir, UPSTREAM_BASE_URL: upstream.url }
  const local = await runCommand([...COMMAND, 'doctor'], here)
  expect(local.out).toMatch(/warn +prices +1 upstreams/)
})
