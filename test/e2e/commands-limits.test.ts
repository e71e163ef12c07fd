/** Limits as commands take them: one by one, in a zone, and in money. */
import { expect, test } from 'bun:test'
import { runCommand } from '../support/command.ts'
import { COMMAND, startServer } from '../support/server.ts'

type Limit = Record<string, unknown> & { readonly name: string }
type Key = { readonly id: string; readonly limits: readonly Limit[] }

async function startOperator(env: Record<string, string> = {}) {
  const server = await startServer(env)
  const run = (...args: string[]) =>
    runCommand([...COMMAND, 'keys', ...args], { DATA_DIR: server.dataDir })
  const json = async (...args: string[]): Promise<Key> => {
    const { out, err, code } = await run(...args, '--json')
    if (code !== 0) throw new Error(err)
    return JSON.parse(out) as Key
  }
  return { server, run, json }
}

const names = ({ limits }: Key) => limits.map(({ name }) => name)

test('a limit that is given to an update is added, or takes the place of the one of its name; the others stay', async () => {
  const { json, run } = await startOperator()
  const limits = ['--limit', 'tokens=100000/day', '--limit', 'cost=5/month']
  const { id } = await json('create', 'Ada', '--quota', '10', ...limits)
  const added = await json('update', id, '--limit', 'requests=5/minute')
  expect(names(added)).toEqual(['quota', 'tokens-day', 'cost-month', 'requests-minute'])
  const replaced = await json('update', id, '--limit', 'tokens=7/day', '--limit', 'tokens=9/hour')
  expect(names(replaced)).toEqual([
    'quota', 'tokens-day', 'cost-month', 'requests-minute', 'tokens-hour',
  ]) // biome-ignore format: one row
  expect(replaced.limits[1]).toMatchObject({ amount: 7 })
  const fewer = await json(
    'update',
    id,
    '--remove-limit',
    'cost-month',
    '--remove-limit',
    'tokens-hour',
  )
  expect(names(fewer)).toEqual(['quota', 'tokens-day', 'requests-minute'])

  const all = await run('update', id, '--limit', 'cost=1/day', '--replace-limits')
  expect(all.err).toBe('Removed: tokens-day, requests-minute.\n')
  const none = await run('update', id, '--limit', 'none')
  expect(none.err).toBe('Removed: cost-day.\n')
  const unknown = await run('update', id, '--remove-limit', 'nothing')
  expect(unknown.code).toBe(1)
  expect(unknown.err).toContain('remove_limits.0 must name a limit of the key')
  expect((await run('update', id, '--replace-limits')).code).toBe(2)
})

test('what a limit has used stays when another one is added, and when its own amount changes', async () => {
  const { server, json } = await startOperator()
  const { id } = await json('create', 'Ada', '--quota', '10', '--limit', 'tokens=100/day')
  await server.admin('POST', `/admin/keys/${id}/credit`, { amount: -40, limit: 'tokens-day' })
  const changed = await json(
    'update',
    id,
    '--limit',
    'requests=5/minute',
    '--limit',
    'tokens=200/day',
  )
  expect(changed.limits[1]).toMatchObject({ amount: 200, credited: -40, remaining: 160 })
})

test('--timezone is for every limit of the command, a zone after @ for its own, DEFAULT_TIMEZONE for the rest', async () => {
  const { json } = await startOperator({ DEFAULT_TIMEZONE: 'Asia/Shanghai' })
  const zones = ({ limits }: Key) => limits.map(({ timezone }) => timezone)
  const limits = ['--limit', 'tokens=1/day', '--limit', 'cost=1/month@Europe/Berlin']
  const plain = await json('create', 'a', '--quota', '1', '--window', 'day', ...limits)
  expect(zones(plain)).toEqual(['Asia/Shanghai', 'Asia/Shanghai', 'Europe/Berlin'])
  const zoned = await json(
    'create',
    'b',
    '--quota',
    '1',
    '--timezone',
    'America/New_York',
    ...limits,
  )
  expect(zones(zoned)).toEqual(['America/New_York', 'America/New_York', 'Europe/Berlin'])
})

test('money is given and shown as money, and is exact', async () => {
  const { json, run } = await startOperator()
  const { id, limits } = await json(
    'create',
    'a',
    '--quota',
    '1',
    '--limit',
    'cost=5.000001/month@Asia/Shanghai',
  )
  expect(limits[1]).toMatchObject({ amount: 5_000_001 })
  const shown = (await run('show', id)).out
  expect(shown).toMatch(
    /cost-month +cost \(USD\) +month \(Asia\/Shanghai\) +5\.000001 +0\.00 +0\.00 +5\.000001/,
  )
  for (const wrong of ['cost=5.0000001/month', 'cost=-1/month', 'tokens=1.5/day', 'cost=1e3/day'])
    expect((await run('create', 'x', '--quota', '1', '--limit', wrong)).code).toBe(2)
})
