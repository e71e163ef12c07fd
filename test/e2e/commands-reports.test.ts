/** `usage` and `calls` as reports: by time and by what was called, as tables, CSV and JSON, with keys that are deleted by now. */
import { expect, test } from 'bun:test'
import { settled } from '../support/books.ts'
import { runCommand } from '../support/command.ts'
import { COMMAND, issueKey, startServer } from '../support/server.ts'
import { startUpstream } from '../support/upstream.ts'

async function startReports(settings: Record<string, string> = {}) {
  const upstream = startUpstream((_, { body }) => {
    const { model, fails } = JSON.parse(body) as { model: string; fails?: boolean }
    const usage = { prompt_tokens: 3, completion_tokens: 4, total_tokens: 7 }
    return Response.json({ model, usage }, { status: fails ? 503 : 200 })
  })
  const server = await startServer(settings)
  await server.admin('POST', '/admin/upstreams', {
    ...{ name: 'ai', base_url: `${upstream.url}/v1`, mount: '/v1' },
    prices: [{ model: '*', input: 1_000_000, output: 2_000_000 }],
  })
  const call = async (key: string, body: object) => {
    const response = await fetch(`${server.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'x-api-key': key, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
    await response.arrayBuffer()
  }
  const run = async (...args: string[]) => {
    const { out, err, code } = await runCommand([...COMMAND, ...args], {
      ...settings,
      DATA_DIR: server.dataDir,
    })
    if (code !== 0) throw new Error(err)
    return out
  }
  return { server, call, run }
}

test('a deleted key stays in usage and calls, marked, and its sums add up', async () => {
  const { server, call, run } = await startReports()
  const gone = await issueKey(server, { name: 'gone', quota: 100, tags: ['course'] })
  const here = await issueKey(server, { name: 'here', quota: 100 })
  const unused = await issueKey(server, { name: 'unused', quota: 100 })
  for (const model of ['small', 'small', 'large']) await call(gone.key, { model })
  await call(here.key, { model: 'large', fails: true })
  await settled(server)
  for (const { id } of [gone, unused]) await server.admin('DELETE', `/admin/keys/${id}`)

  const keys = JSON.parse(await run('usage', '--json')) as {
    name: string
    status: string
    calls: number
  }[]
  expect(keys.map(({ name, status, calls }) => [name, status, calls])).toEqual([
    ['here', 'active', 1],
    ['gone', 'deleted', 3],
  ])
  expect(JSON.parse(await run('usage', '--key', gone.id, '--json'))).toMatchObject([
    { name: 'gone', tokens: 21 },
  ])
  expect(JSON.parse(await run('calls', '--key', gone.id, '--json'))).toHaveLength(3)

  const models = JSON.parse(await run('usage', '--by', 'model', '--json'))
  expect(models).toMatchObject({
    data: [
      { model: 'large', calls: 2, failed: 1 },
      { model: 'small', calls: 2, tokens: 14, cost: 22 },
    ],
    total: { calls: 4 },
  })
  expect(JSON.parse(await run('usage', '--tag', 'course', '--json'))).toMatchObject({
    data: [{ key_name: 'gone', calls: 3 }],
    total: { calls: 3 },
  })
  const table = await run('usage', '--by', 'day,key', '--tz', 'Asia/Shanghai')
  expect(table).toMatch(/FROM \(Asia\/Shanghai\) +ID +KEY +CALLS/)
  expect(table).toMatch(/\d{4}-\d\d-\d\d +key_\w+ +gone +3 /)
  expect(table).toMatch(/^total +- +- +4 /m)
  expect(
    (
      await run('usage', '--from', '2020-01-01', '--to', '2020-02-01', '--by', 'day', '--csv')
    ).trim(),
  ).toBe('calls,failed,requests,tokens,cost,bytes_in,bytes_out,estimated,currency')
})

test('calls are found by status, outcome and time, and CSV opens in a spreadsheet without running a formula', async () => {
  const { server, call, run } = await startReports()
  const { key } = await issueKey(server, { name: '=1+1', quota: 100 })
  await call(key, { model: 'small' })
  await call(key, { model: '@SUM(A1)', fails: true })
  await settled(server)
  const failed = JSON.parse(await run('calls', '--status', '5xx', '--json')) as { status: number }[]
  expect(failed.map(({ status }) => status)).toEqual([503])
  expect(JSON.parse(await run('calls', '--outcome', 'client_aborted', '--json'))).toEqual([])
  expect(JSON.parse(await run('calls', '--from', '1h', '--json'))).toHaveLength(2)
  expect(JSON.parse(await run('calls', '--to', '1h', '--json'))).toEqual([])
  const csv = await run('calls', '--csv', '--bom')
  expect(csv).toStartWith('id,at,key_id,key_name,upstream,model,')
  // Whoever decodes the text drops the mark.
  const line = [...COMMAND, 'calls', '--csv', '--bom'].map((word) => `'${word}'`).join(' ')
  const env = { DATA_DIR: server.dataDir }
  const { out: mark } = await runCommand(['sh', '-c', `${line} | od -An -tx1 -N3`], env)
  expect(mark.trim()).toBe('ef bb bf')
  expect(csv).toContain(",'=1+1,ai,'@SUM(A1),")
  expect(csv.trim().split('\r\n').length).toBe(csv.trim().split('\n').length)
  for (const line of csv.trim().split('\r\n').slice(1))
    for (const cell of line.split(',')) expect(cell).not.toMatch(/^[=+@\t-]/)
  const usage = await run('usage', '--csv')
  // `cut` and its like take a carriage return for a part of the last cell.
  expect(usage).not.toContain('\r')
  expect(usage).toContain(",'=1+1,")
})

test('a day begins in the zone of --tz, or else in DEFAULT_TIMEZONE', async () => {
  const { server, call, run } = await startReports({ DEFAULT_TIMEZONE: 'Pacific/Niue' })
  const { key } = await issueKey(server, { name: 'a', quota: 100 })
  await call(key, { model: 'small' })
  await settled(server)
  for (const [zone, args] of [
    ['Pacific/Kiritimati', ['--tz', 'Pacific/Kiritimati']],
    ['Pacific/Niue', []],
  ] as const) {
    const day = Temporal.Now.plainDateISO(zone).subtract({ days: 1 })
    const months = await run('usage', '--from', day.toString(), '--by', 'month', '--json', ...args)
    // The month may have begun today.
    const begun = day.add({ days: 1 }).with({ day: 1 })
    const first = Temporal.PlainDate.compare(begun, day) > 0 ? begun : day
    const from = first.toZonedDateTime(zone).toInstant().toString()
    expect(JSON.parse(months).data).toMatchObject([{ from, calls: 1 }])
  }
})

test('where the command has another zone than the server, its days and their head are of the same zone', async () => {
  const { server, call } = await startReports({ DEFAULT_TIMEZONE: 'Pacific/Niue' })
  const { key } = await issueKey(server, { name: 'a', quota: 100 })
  await call(key, { model: 'small' })
  await settled(server)
  const { out } = await runCommand([...COMMAND, 'usage', '--by', 'day'], {
    DATA_DIR: server.dataDir,
    DEFAULT_TIMEZONE: 'Asia/Shanghai',
  })
  // Without a time of day: it is midnight there.
  expect(out).toMatch(/^FROM \(Asia\/Shanghai\) .*\n\d{4}-\d{2}-\d{2} {2,}1 /)
})

test('wrong reports are refused by name', async () => {
  const { server } = await startReports()
  const args = (text: string) => text.split(' ')
  for (const [text, says, exit] of [
    ['usage --by year', 'by must be one of hour, day', 1],
    ['usage --by day,month', 'by must be one of', 1],
    ['usage --from yesterday', 'is no time', 2],
    ['usage --from 2026-11-01 --by day --tz Mars', 'tz must be an IANA time zone', 1],
    ['usage --bom', '--bom is for --csv', 2],
    ['usage --by day --limit 3', '--limit is for the list', 2],
    ['calls --status 6xx', 'status must be a status', 1],
    ['calls --outcome lost', 'Allowed choices', 2],
    ['calls call_1 --csv', 'no other option', 2],
  ] as const) {
    const { err, code } = await runCommand([...COMMAND, ...args(text)], {
      DATA_DIR: server.dataDir,
    })
    expect([text, code]).toEqual([text, exit])
    expect(err).toContain(says)
  }
})
