/** One list of commands, run on a real installation in each way that reaches it: what they say is the same. */
import { describe, expect, test } from 'bun:test'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { openOperator, WAYS } from '../support/operator.ts'
import { temporaryDirectory } from '../support/server.ts'

type Row = Record<string, unknown>

const SECRET = /trial_[0-9A-Za-z]{36}/

/** What every run makes anew, replaced by a word: ids, secrets and instants. */
function alike(value: unknown): unknown {
  const text = JSON.stringify(value)
    .replace(/trial_[0-9A-Za-z]{36}/g, 'SECRET')
    .replace(/trial_[0-9A-Za-z]{4}…[0-9A-Za-z]{4}/g, 'HINT')
    .replace(/key_[0-9A-Za-z]{20}/g, 'ID')
    .replace(/20\d\d-\d\d-\d\dT[\d:.]+Z/g, 'INSTANT')
  return JSON.parse(text)
}

/** What the first way has answered to each command. */
let first: [string, unknown][] | undefined

describe.each(WAYS)('on an installation that is reached %s', (way) => {
  test('every command does what it says, and says the same as in every other way', async () => {
    const { json, run } = await openOperator(way)
    const steps: [string, unknown][] = []
    const step = async <T = Row>(...args: string[]): Promise<T> => {
      const result = await json<T>(...args)
      steps.push([args.slice(0, 2).join(' '), alike(result)])
      return result
    }

    const ada = await step(
      ...['keys', 'create', 'Ada', '--quota', '10', '--window', 'day', '--timezone', 'Europe/Berlin'],
      ...['--expires', '2099-12-31', '--limit', 'tokens=5000/month', '--concurrency', '3', '--reserve-max', 'tokens=8000,cost=0.0005'],
      ...['--models', 'gpt-4o*,o3', '--methods', 'post', '--tag', 'a', '--tag', 'b', '--metadata', '{"team":1}'],
    ) // biome-ignore format: as it is typed
    const id = String(ada['id'])
    expect(ada['key']).toMatch(SECRET)
    expect(ada).toMatchObject({
      name: 'Ada', quota: 10, window: 'day', expires_at: '2099-12-31T00:00:00Z', concurrency: 3, models: ['gpt-4o*', 'o3'],
      reserve_max: { tokens: 8000, cost: 500 },
      methods: ['POST'], paths: null, tags: ['a', 'b'], metadata: { team: 1 }, status: 'active',
      limits: [{ timezone: 'Europe/Berlin' }, { unit: 'tokens', amount: 5000, window: 'month' }],
    }) // biome-ignore format: one key, one glance
    await step('keys', 'create', 'Bob', '--quota', 'unlimited', '--disabled')

    expect(await step('keys', 'show', id)).toMatchObject({ id, name: 'Ada' })
    expect(await step<Row[]>('keys', 'list')).toMatchObject([{ name: 'Bob' }, { name: 'Ada' }])
    expect(await step<Row[]>('keys', 'list', '--limit', '1')).toMatchObject([{ name: 'Bob' }])
    expect(await step<Row[]>('keys', 'list', '--tag', 'b')).toMatchObject([{ name: 'Ada' }])
    expect(await step<Row[]>('keys', 'list', '--status', 'disabled')).toMatchObject([
      { name: 'Bob' },
    ])
    expect(await step<Row[]>('keys', 'list', '--q', 'nobody')).toEqual([])

    expect(
      await step(...['keys', 'update', id, '--quota', '20', '--models', 'any', '--limit', 'none', '--tag', 'none', '--expires', 'never', '--concurrency', 'none', '--reserve-max', 'none', '--name', 'Ada L.']),
    ).toMatchObject({ name: 'Ada L.', quota: 20, models: null, limits: [{ name: 'quota' }], tags: [], expires_at: null, concurrency: null, reserve_max: null }) // biome-ignore format: as it is typed
    expect(await step('keys', 'disable', id)).toMatchObject({ status: 'disabled' })
    expect(await step('keys', 'enable', id)).toMatchObject({ status: 'active' })
    expect(await step('keys', 'credit', id, '5', '--reason', 'goodwill')).toMatchObject({
      remaining: 25,
    })
    expect(await step('keys', 'credit', id, '-2')).toMatchObject({ remaining: 23 })
    expect(await step('keys', 'reset', id, '--quota', '7', '--yes')).toMatchObject({
      quota: 7,
      remaining: 7,
    })
    const done = await step<Row[]>('keys', 'adjustments', id)
    expect(done.map(({ kind, amount }) => [kind, amount])).toEqual([
      ['reset', 0],
      ['credit', -2],
      ['credit', 5],
    ])
    expect(await step('keys', 'rotate', id, '--grace', '1h', '--dry-run')).toMatchObject({ id })
    const rotated = await step('keys', 'rotate', id, '--grace', '1h', '--yes')
    expect(rotated).toMatchObject({ id, previous_until: expect.any(String) })
    expect(rotated['key']).toMatch(SECRET)
    expect(rotated['key']).not.toBe(ada['key'])
    const shown = await run(['keys', 'show', '-', '--json'], `${String(rotated['key'])}\n`)
    expect(JSON.parse(shown.out)).toMatchObject({ id })

    expect(await step<Row[]>('usage')).toMatchObject([
      { name: 'Bob' },
      { name: 'Ada L.', quota: 7 },
    ])
    expect(await step<Row[]>('usage', '--key', id, '--from', '2026-01-01T00:00:00Z')).toHaveLength(
      1,
    )
    expect(await step<Row[]>('calls', '--key', id)).toEqual([])

    const credential = join(temporaryDirectory(), 'credential')
    writeFileSync(credential, 'sk-canary-7fQ2\n')
    expect(
      await step(...['upstreams', 'create', 'openai', '--base-url', 'https://api.example.com/v1', '--mount', '/v1', '--credential-file', credential]),
    ).toMatchObject({ name: 'openai', mount: '/v1', credential: { set: true, header: 'authorization' } }) // biome-ignore format: as it is typed
    expect(
      await step(
        'upstreams',
        'update',
        'openai',
        '--mount',
        'none',
        '--credential-query',
        'api_key',
      ),
    ).toMatchObject({ mount: null, credential: { set: true, query: 'api_key' } })
    expect(await step('upstreams', 'disable', 'openai')).toMatchObject({ enabled: false })
    expect(await step('upstreams', 'enable', 'openai')).toMatchObject({ enabled: true })
    expect(await step('upstreams', 'show', 'openai')).toMatchObject({ name: 'openai' })
    expect(await step<Row[]>('upstreams', 'list')).toMatchObject([{ name: 'openai' }])
    expect(await step('upstreams', 'delete', 'openai', '--yes')).toEqual({
      name: 'openai',
      deleted: true,
    })

    expect(await step('keys', 'delete', id, '--yes')).toEqual({ id, deleted: true })
    const exported = await run(['keys', 'export'])
    expect(JSON.parse(exported.out)).toMatchObject([{ name: 'Bob', quota: null, enabled: false }])

    first ??= steps
    expect(steps).toEqual(first)
  }, 120_000)

  test('a list goes over all pages, as one array, one table or one CSV', async () => {
    const { run, json } = await openOperator(way)
    const names = Array.from({ length: 205 }, (_, i) => `key ${i}`)
    const rows = names.map((name) => ({ name, quota: 1 }))
    const path = join(temporaryDirectory(), 'keys.json')
    writeFileSync(path, JSON.stringify(rows))
    expect(await json<Row[]>('keys', 'import', path)).toHaveLength(205)
    const listed = await json<Row[]>('keys', 'list')
    expect(listed.map(({ name }) => name)).toEqual([...names].reverse())
    expect(await json<Row[]>('keys', 'list', '--limit', '101')).toHaveLength(101)
    const table = await run(['keys', 'list'])
    expect(table.out.trim().split('\n')).toHaveLength(206)
    const csv = await run(['usage', '--csv'])
    expect(csv.out.trim().split('\n')).toHaveLength(206)
  }, 120_000)

  test('refusals are one line with their code, and one for each field that is wrong; exit code 1', async () => {
    const { run } = await openOperator(way)
    expect(await run(['keys', 'show', 'key_0'])).toEqual({
      out: '',
      err: 'quota-proxy: There is no such key. "quota-proxy keys list" shows their ids. (key_not_found)\n',
      code: 1,
    })
    expect(await run(['upstreams', 'show', 'none'])).toMatchObject({ out: '', code: 1 })
    const wrong = await run([
      'keys',
      'create',
      'x',
      '--quota',
      '1',
      '--timezone',
      'Mars',
      '--paths',
      'y',
    ])
    expect(wrong).toMatchObject({ out: '', code: 1 })
    expect(wrong.err).toStartWith('quota-proxy: The request is not valid. (validation_failed)\n')
    expect(wrong.err).toContain('\n  - timezone must be an IANA time zone')
    expect(wrong.err).toContain('\n  - paths.0 must be a glob')
    const asJson = await run(['keys', 'show', 'key_0', '--json'])
    expect(asJson).toMatchObject({ out: '', code: 1 })
    expect(JSON.parse(asJson.err)).toMatchObject({ code: 'key_not_found', status: 404 })
  }, 30_000)
})
