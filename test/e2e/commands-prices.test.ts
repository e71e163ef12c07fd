/** `quota-proxy prices`, as an operator types it. */
import { expect, test } from 'bun:test'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { openOperator } from '../support/operator.ts'
import { temporaryDirectory } from '../support/server.ts'

const { run, json } = await openOperator('by its socket')

const TABLE = JSON.stringify({
  sample_spec: { input_cost_per_token: 0, litellm_provider: 'one of many' },
  'gpt-4o': { litellm_provider: 'openai', mode: 'chat', input_cost_per_token: 2.5e-6, output_cost_per_token: 1e-5 },
  'gpt-4o-mini': { litellm_provider: 'openai', mode: 'chat', input_cost_per_token: 1.5e-7, output_cost_per_token: 6e-7 },
  'dall-e-2': { litellm_provider: 'openai', mode: 'image_generation', input_cost_per_pixel: 1.9e-8 },
  'groq/llama': { litellm_provider: 'groq', mode: 'chat', input_cost_per_token: 1e-7, output_cost_per_token: 1e-7 },
}) // biome-ignore format: a table

test('an upstream of a known vendor is shown where prices are, and gets none by itself', async () => {
  const made = await run(['upstreams', 'create', 'claude', '--base-url', 'https://api.anthropic.com'])
  expect(made.code).toBe(0)
  expect(made.err).toBe(
    'It has no prices yet; to look at some: quota-proxy prices import --preset anthropic --upstream claude --dry-run\n',
  )
  expect(await json<object[]>('prices', 'list', '--upstream', 'claude')).toEqual([])
  const other = await run(['upstreams', 'create', 'other', '--base-url', 'https://a.example'])
  expect([other.code, other.err]).toEqual([0, ''])

  const tried = await run(['prices', 'import', '--preset', 'anthropic', '--upstream', 'claude', '--dry-run'])
  expect(tried.out).toMatch(/added +claude-opus-4-1 +15\.00 +1\.50 +75\.00 +cache_write_5m 18\.75, cache_write_1h 30\.00/)
  expect(tried.out).toContain('Prices of claude, if this were done: 11 added, 0 changed, 0 removed, 0 unchanged.')
  expect(await json<object[]>('prices', 'list', '--upstream', 'claude')).toEqual([])
  const done = await run(['prices', 'import', '--preset', 'anthropic', '--upstream', 'claude', '--match', '*haiku*'])
  expect(done.out).toBe('Prices of claude: 3 added, 0 changed, 0 removed, 0 unchanged.\n')
  expect(await json<object[]>('prices', 'list', '--upstream', 'claude')).toHaveLength(3)
}) // biome-ignore format: as it is typed

test('a table is entered exactly, what cannot be is named, and a second time changes nothing', async () => {
  await json('upstreams', 'create', 'openai', '--base-url', 'https://b.example/v1')
  const file = join(temporaryDirectory(), 'table.json')
  writeFileSync(file, TABLE)
  const args = ['prices', 'import', file, '--upstream', 'openai', '--provider', 'openai']
  const first = await run(args)
  expect(first).toEqual({
    code: 0,
    out: 'Prices of openai: 2 added, 0 changed, 0 removed, 0 unchanged.\n',
    err: '1 model is left out:\n  - dall-e-2: input_cost_per_pixel is nothing that is counted here\n',
  })
  expect(await json<object[]>('prices', 'list', '--upstream', 'openai')).toEqual([
    { model: 'gpt-4o', input: 2_500_000, output: 10_000_000 },
    { model: 'gpt-4o-mini', input: 150_000, output: 600_000 },
  ])
  expect((await run(args)).out).toContain('0 added, 0 changed, 0 removed, 2 unchanged')

  const dearer = TABLE.replace('0.0000025', '0.0000031')
  const stdin = await run(['prices', 'import', '-', '--upstream', 'openai', '--match', 'gpt-4o', '--replace', '--dry-run'], dearer)
  expect(stdin.out).toMatch(/changed +gpt-4o +2\.50 → 3\.10 /)
  expect(stdin.out).toMatch(/removed +gpt-4o-mini +0\.15 /)
  expect((await run(['prices', 'list', '--upstream', 'openai'])).out).toContain('gpt-4o-mini')
}) // biome-ignore format: as it is typed

test('wrong use is said in one sentence, with exit code 2', async () => {
  await json('upstreams', 'create', 'empty', '--base-url', 'https://e.example')
  const file = join(temporaryDirectory(), 'bad.json')
  writeFileSync(file, '{"gpt-4o": 5}')
  const to = ['--upstream', 'empty']
  for (const [args, says] of [
    [[file, ...to], `${file} is not a price table`],
    [['nowhere.json', ...to], 'There is no file nowhere.json.'],
    [[...to], 'Give either a file or --preset.'],
    [[file, '--preset', 'openai', ...to], 'Give either a file or --preset.'],
    [['--preset', 'nobody', ...to], 'There is no preset nobody.'],
    [['--preset', 'openai', '--provider', 'openai', ...to], '--provider and --strip-prefix are for a file.'],
    [['--preset', 'openai', '--match', 'claude*', ...to], 'No model fits'],
  ] as const) {
    const { err, code } = await run(['prices', 'import', ...args])
    expect([code, err.split('\n').length, err]).toEqual([2, 2, expect.stringContaining(says)])
  } // biome-ignore format: a table
  const unknown = await run(['prices', 'import', '--preset', 'openai', '--upstream', 'nobody'])
  expect([unknown.code, unknown.err]).toEqual([1, expect.stringContaining('upstream_not_found')])
})

test('presets are listed with their day and page', async () => {
  const list = await run(['prices', 'presets'])
  expect(list.out).toMatch(/openai +OpenAI +\d+ +USD +\d{4}-\d\d-\d\d +https:\/\//)
  expect(list.err).toContain("compare with the vendor's page")
  const one = await run(['prices', 'presets', 'deepseek'])
  expect(one.out).toMatch(/deepseek-chat +0\.28 +0\.028 +0\.42/)
  expect((await run(['prices', 'presets', 'nobody'])).code).toBe(2)
})

test('a key with a limit in money is warned of upstreams that it may call and that have no prices', async () => {
  await json('upstreams', 'create', 'bare', '--base-url', 'https://c.example')
  await json('upstreams', 'create', 'priced', '--base-url', 'https://d.example')
  await json('prices', 'import', '--preset', 'groq', '--upstream', 'priced')
  const create = ['keys', 'create', 'a', '--quota', '5', '--limit', 'cost=100/month']
  const warned = await run(create)
  expect(warned.err).toContain('warning: bare has no prices')
  expect(warned.err).not.toContain('priced has no prices')
  expect((await run([...create, '--upstreams', 'priced'])).err).not.toContain('warning')
  const plain = await json<{ id: string }>('keys', 'create', 'b', '--quota', '5')
  const updated = await run(['keys', 'update', plain.id, '--limit', 'cost=5/day'])
  expect(updated.err).toContain('warning: bare has no prices')
  const { out, code } = await run(['doctor'])
  expect([code, out]).toEqual([0, expect.stringMatching(/warn +prices +\d upstreams have no prices, such as bare/)])
}) // biome-ignore format: as it is typed
