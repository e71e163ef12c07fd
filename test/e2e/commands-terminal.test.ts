/** Commands that somebody at a real terminal is asked by, or watches. */
import { expect, test } from 'bun:test'
import { runCommand } from '../support/command.ts'
import { COMMAND, issueKey, startServer } from '../support/server.ts'
import { openTerminal } from '../support/terminal.ts'
import { startUpstream } from '../support/upstream.ts'

const upstream = startUpstream()
const server = await startServer({ PROXY_EGRESS_ALLOW: upstream.host })
const env = { DATA_DIR: server.dataDir }
const CTRL_C = '\u0003'

const at = (args: readonly string[], size = {}) => openTerminal([...COMMAND, ...args], env, size)

async function isThere(id: string): Promise<boolean> {
  return (await server.admin('GET', `/admin/keys/${id}`)).status === 200
}

for (const [typed, code] of [
  ['y\r', 0],
  ['yes\r', 0],
  ['n\r', 1],
  ['\r', 1],
  // The end of the input.
  ['\u0004', 1],
] as const) {
  test(`a key is deleted after ${JSON.stringify(typed)} exactly if that is a yes`, async () => {
    const { id } = await issueKey(server, { name: 'asked about' })
    const terminal = at(['keys', 'delete', id])
    await terminal.shows(new RegExp(`Delete ${id} \\(asked about\\)\\? .*\\[y/N\\]`))
    expect(await isThere(id)).toBe(true)
    terminal.type(typed)
    expect(await terminal.ended).toBe(code)
    expect(await isThere(id)).toBe(code !== 0)
    if (code !== 0) await terminal.shows(/Nothing was changed\./)
  })
}

test('Ctrl-C at the question changes nothing', async () => {
  const { id } = await issueKey(server)
  const terminal = at(['keys', 'reset', id])
  await terminal.shows(/\[y\/N\]/)
  terminal.type(CTRL_C)
  expect(await terminal.ended).not.toBe(0)
  expect(await isThere(id)).toBe(true)
})

test('without a terminal nobody is asked: what cannot be undone needs --yes', async () => {
  const { id } = await issueKey(server)
  for (const args of [
    ['keys', 'delete', id],
    ['keys', 'reset', id],
    ['keys', 'rotate', id],
    ['token', 'rotate'],
  ]) {
    const { out, err, code } = await runCommand([...COMMAND, ...args], env)
    expect({ out, code }).toEqual({ out: '', code: 2 })
    expect(err).toContain('add --yes')
  }
  expect(await isThere(id)).toBe(true)
  const { out, code } = await runCommand([...COMMAND, 'keys', 'delete', id, '--dry-run'], env)
  expect({ out, code }).toMatchObject({
    out: expect.stringContaining('Would ask: Delete'),
    code: 0,
  })
  expect(await isThere(id)).toBe(true)
})

for (const [args, last] of [
  [['config'], /converts\s+nothing\./],
  [['prices', 'presets'], /compare with/],
  [['prices', 'presets', 'openai'], /compare with/],
] as const) {
  test(`${args.join(' ')} is a table that fits 80 columns`, async () => {
    const terminal = at(args, { cols: 80, rows: 1_000 })
    expect(await terminal.ended).toBe(0)
    const lines = (await terminal.shows(last)).split(/\r?\n/)
    expect(lines.length).toBeGreaterThan(5)
    expect(Math.max(...lines.map((line) => Bun.stringWidth(line)))).toBeLessThanOrEqual(80)
  })
}

test('a table is no wider than the terminal: columns are left out, and long names go on below', async () => {
  await issueKey(server, { name: `a very long name ${'x'.repeat(150)}` })
  const terminal = at(['keys', 'list'], { cols: 80 })
  expect(await terminal.ended).toBe(0)
  const screen = await terminal.shows(/Left out/)
  const lines = screen.split('\r\n')
  expect(Math.max(...lines.map((line) => Bun.stringWidth(line)))).toBeLessThanOrEqual(80)
  // The whole name, in as many lines as it takes.
  expect(screen.match(/x{5,}/g)?.join('')).toHaveLength(150)
})

test('wide characters are wrapped by the room that they take, and no letter is lost', async () => {
  const name = '王小明 with a rather long name that is wrapped'
  await issueKey(server, { name })
  const terminal = at(['keys', 'list', '--q', name], { cols: 80 })
  expect(await terminal.ended).toBe(0)
  const [, first = '', ...more] = (await terminal.shows(/Left out/)).split('\r\n')
  const begun = first.replace(/ +active.*/, '')
  expect([begun, ...more.slice(0, -2)].map((line) => line.trim()).join(' ')).toBe(name)
})

for (const args of [
  ['config'],
  ['prices', 'presets'],
  ['prices', 'presets', 'anthropic'],
  ['top', '--once'],
]) {
  test(`${args.join(' ')} is no wider than the terminal either`, async () => {
    const { key } = await issueKey(server, { name: 'somebody who calls' })
    await server.call(key, { endpoint: upstream.url })
    const terminal = at(args, { cols: 80 })
    expect(await terminal.ended).toBe(0)
    const lines = terminal.raw().split('\r\n')
    expect(lines.length).toBeGreaterThan(2)
    expect(Math.max(...lines.map((line) => Bun.stringWidth(line)))).toBeLessThanOrEqual(80)
  })
}

test('what was credited is in the table of limits, or said to be left out', async () => {
  const limit = {
    name: 'tokens-month',
    unit: 'tokens',
    amount: 100_000,
    window: 'month',
    timezone: 'Asia/Shanghai',
  }
  const { id } = await issueKey(server, { limits: [limit] })
  const shown = async () => {
    const terminal = at(['keys', 'show', id], { cols: 80 })
    expect(await terminal.ended).toBe(0)
    return terminal.raw()
  }
  expect(await shown()).not.toContain('CREDITED')
  await server.admin('POST', `/admin/keys/${id}/credit`, { amount: 5 })
  expect(await shown()).toContain('Left out for want of room: CREDITED.')
})

test('names and models cannot move the cursor or turn the line around', async () => {
  await issueKey(server, { name: 'evil \u202egnp.exe' })
  const { out } = await runCommand([...COMMAND, 'keys', 'list', '--q', 'evil'], env)
  expect(out).toContain('evil \ufffdgnp.exe')
})

test('top shows who calls, and leaves the terminal as it was', async () => {
  const { key, id } = await issueKey(server, { name: 'busy', quota: 20 })
  for (let i = 0; i < 5; i++) await server.call(key, { endpoint: upstream.url })
  for (const leave of ['q', CTRL_C]) {
    const terminal = at(['top', '--interval', '0.5'], { cols: 160 })
    await terminal.shows(new RegExp(`${id} +busy +0\\.08 +5 +0 +5 .* 5 +20`))
    // Another look sees what has happened since.
    const before = terminal.raw().length
    await server.call('trial_unknown0000000000000000000000000', { endpoint: upstream.url })
    await terminal.shows(/refused\/s/)
    expect(terminal.raw().length).toBeGreaterThan(before)
    terminal.type(leave)
    expect(await terminal.ended).toBe(0)
    expect(terminal.raw()).toStartWith('\u001b[?1049h\u001b[?25l')
    expect(terminal.raw()).toEndWith('\u001b[?25h\u001b[?1049l')
  }
}, 30_000)

test('top prints one look for scripts, a line for each look as JSON, and refuses to paint where no terminal is', async () => {
  const { key, id } = await issueKey(server, { name: 'scripted' })
  await server.call(key, { endpoint: upstream.url })
  const once = await runCommand([...COMMAND, 'top', '--once'], env)
  expect(once).toMatchObject({ err: '', code: 0 })
  expect(once.out).toMatch(new RegExp(`${id} +scripted`))
  const json = await runCommand([...COMMAND, 'top', '--once', '--json'], env)
  const sample = JSON.parse(json.out) as { calls: number; keys: { id: string; requests: number }[] }
  expect(sample.keys.find((row) => row.id === id)).toMatchObject({ calls: 1, requests: 1 })
  expect(sample.calls).toBe(sample.keys.reduce((sum, row) => sum + row.requests, 0))
  expect(await runCommand([...COMMAND, 'top'], env)).toMatchObject({
    out: '',
    err: expect.stringContaining('add --once'),
    code: 2,
  })
})
