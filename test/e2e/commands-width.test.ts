/** Reports at a terminal of 80 columns, which is what most have: what matters is there, whole, and what is not is named. */
import { expect, test } from 'bun:test'
import { backUp, fillDatabase } from '../support/backups.ts'
import { settled } from '../support/books.ts'
import { testOfFiles } from '../support/engine.ts'
import { COMMAND, issueKey, startServer, temporaryDirectory } from '../support/server.ts'
import { openTerminal } from '../support/terminal.ts'
import { startUpstream } from '../support/upstream.ts'

const upstream = startUpstream()
const server = await startServer({ PROXY_EGRESS_ALLOW: upstream.host })
const env = { DATA_DIR: server.dataDir }

async function screenOf(
  args: readonly string[],
  cols = 80,
  settings: Readonly<Record<string, string>> = {},
): Promise<{ readonly text: string; readonly lines: readonly string[]; readonly widest: number }> {
  // A terminal that is made without a width is given one.
  const unsized = cols === 0 ? ['sh', '-c', 'stty cols 0 && exec "$@"', 'sh'] : []
  const command = [...unsized, ...COMMAND, ...args]
  const terminal = openTerminal(command, { ...env, ...settings }, { cols, rows: 1_000 })
  expect([args, await terminal.ended]).toEqual([args, 0])
  const lines = terminal.raw().split('\r\n')
  return {
    text: lines.join('\n'),
    lines,
    widest: Math.max(...lines.map((line) => Bun.stringWidth(line))),
  }
}

test('COLUMNS decides before the terminal, and a terminal without a width has 80 columns', async () => {
  await issueKey(server, { name: 'somebody with a name', expires_at: '2099-01-01T00:00:00Z' })
  const { lines, widest } = await screenOf(['keys', 'list'], 200, { COLUMNS: '60' })
  expect(widest).toBeLessThanOrEqual(60)
  expect(lines[0]).not.toContain('EXPIRES')
  expect((await screenOf(['keys', 'list'], 200, { COLUMNS: '0' })).lines[0]).toContain('ID')
  const none = await screenOf(['keys', 'list'], 0)
  expect(none.text).toBe((await screenOf(['keys', 'list'], 80)).text)
  expect((await screenOf(['keys', 'list'], 0, { COLUMNS: '60' })).widest).toBeLessThanOrEqual(60)
})

test('the limits of a key fit, with their zone, and what is left out is named', async () => {
  const limits = [
    { unit: 'tokens', amount: 1_000_000, window: 'month', timezone: 'Asia/Shanghai' },
    { unit: 'cost', amount: 500_000_000, window: 'month', timezone: 'Asia/Shanghai' },
  ]
  const { id } = await issueKey(server, { name: 'limited', quota: 100_000, limits })
  const { text, widest } = await screenOf(['keys', 'show', id])
  expect(widest).toBeLessThanOrEqual(80)
  expect(text).toContain('(Asia/Shanghai)')
  expect(text).not.toMatch(/CREDITED|Left out/)
  for (const head of ['LIMIT', 'UNIT', 'WINDOW', 'AMOUNT', 'USED', 'REMAINING', 'RESETS'])
    expect(text).toContain(head)
  await server.admin('POST', `/admin/keys/${id}/credit`, { amount: 5 })
  const credited = await screenOf(['keys', 'show', id])
  expect(credited.text).toMatch(/^Left out for want of room: CREDITED/m)
  expect(credited.widest).toBeLessThanOrEqual(80)
})

test('a name takes two lines rather than three while the last use could be left out', async () => {
  const name = 'a name of two words and a half that is quite long'
  const { key } = await issueKey(server, { name, expires_at: '2099-01-01T00:00:00Z' })
  await server.call(key, { endpoint: upstream.url })
  await settled(server)
  const { text, lines } = await screenOf(['keys', 'list', '--q', name], 120)
  // The head, two lines of the name, the note, the end of its line.
  expect(lines).toHaveLength(5)
  expect(lines[0]).toContain('EXPIRES (UTC)')
  expect(text).toContain('room: LAST USED (UTC).')
})

test('calls show how they ended and what they cost before their ids', async () => {
  const { key } = await issueKey(server, { name: 'somebody who calls a lot' })
  await server.call(key, { endpoint: upstream.url })
  await settled(server)
  const { lines, text, widest } = await screenOf(['calls'], 72)
  expect(widest).toBeLessThanOrEqual(72)
  expect(lines[0]).toMatch(/OUTCOME .* COST \(USD\)/)
  expect(lines[0]).not.toMatch(/^ID/)
  expect(text).toMatch(/^Left out for want of room: ID/m)
})

test('top names what it leaves out, and a key that is gone by its name', async () => {
  const { key, id } = await issueKey(server, { name: 'gone by now', quota: 7 })
  await server.call(key, { endpoint: upstream.url })
  await settled(server)
  await server.admin('DELETE', `/admin/keys/${id}`)
  const { text, widest } = await screenOf(['top', '--once'])
  expect(widest).toBeLessThanOrEqual(80)
  expect(text).toMatch(/Left out for want of room: KEY/)
  const wide = await screenOf(['top', '--once'], 200)
  expect(wide.text).toMatch(/gone by now \(deleted\) .* - +-$/m)
  expect(wide.text).not.toContain('Left out')
})

test('the address of an upstream stays whole, and its settings are readable', async () => {
  const base_url = 'https://a-rather-long-name.of-a-vendor.example/openai/v1'
  const prices = Array.from({ length: 11 }, (_, i) => ({ model: `m-${i}`, input: 1, output: 1 }))
  await server.admin('POST', '/admin/upstreams', {
    ...{ name: 'vendor', base_url, mount: '/vendor', prices },
    timeouts: { first_byte_ms: 30_000, idle_ms: 1_500 },
    costs: [{ method: 'POST', path: '/images/**', requests: 5 }],
    headers: { 'x-team': 'a' },
    credential: { secret: 'sk-of-this-test' },
  })
  const list = await screenOf(['upstreams', 'list'])
  expect(list.widest).toBeLessThanOrEqual(80)
  expect(list.text).toContain(base_url)
  expect(list.text).toMatch(/^Left out for want of room: .*METER.*FROM/m)
  const shown = await screenOf(['upstreams', 'show', 'vendor'])
  for (const line of [
    /timeouts +first byte: 30 seconds, idle: 1,500 ms$/m,
    /meter +tokens; reserves 1,024 for an answer that names no limit$/m,
    /costs +POST \/images\/\*\*: 5 requests$/m,
    /headers +x-team: a$/m,
    /credential +set, in the header authorization as Bearer \{secret\}$/m,
    /prices +11 models; to list them: quota-proxy prices list\s+--upstream vendor$/m,
  ])
    expect(shown.text).toMatch(line)
  expect(shown.text).not.toContain('{"')
  expect(shown.widest).toBeLessThanOrEqual(80)
})

test('the pages of price lists stay whole, and so do the sentences under them', async () => {
  const { lines, text, widest } = await screenOf(['prices', 'presets'])
  expect(widest).toBeLessThanOrEqual(80)
  expect(lines[0]).not.toMatch(/CURRENCY|AS OF/)
  expect(text).toContain('https://docs.claude.com/en/docs/about-claude/pricing')
  expect(text).toMatch(/^Left out for want of room: .*CURRENCY, AS OF/m)
})

test('config leaves out where a setting comes from before it squeezes what it does', async () => {
  const { lines, widest } = await screenOf(['config'])
  expect(widest).toBeLessThanOrEqual(80)
  expect(lines[0]).toMatch(/^NAME +VALUE +WHAT IT DOES$/)
  expect(80 - (lines[0]?.indexOf('WHAT') ?? 80)).toBeGreaterThanOrEqual(35)
})

testOfFiles('backups and findings fit', async () => {
  const DATA_DIR = temporaryDirectory()
  fillDatabase(`${DATA_DIR}/quota.db`, 10)
  const { name } = await backUp(DATA_DIR)
  const list = await screenOf(['backup', 'list'], 80, { DATA_DIR })
  expect(list.widest).toBeLessThanOrEqual(80)
  expect(list.lines[1]).toStartWith(name)
  expect(list.lines[0]).toMatch(/CREATED \(UTC\).*WHERE$/)
  for (const args of [['doctor'], ['backup', 'status']]) {
    const { widest } = await screenOf(args, 60, { DATA_DIR })
    expect([args, widest <= 60]).toEqual([args, true])
  }
})
