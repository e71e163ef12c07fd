/** Reports that no dialect understands: the operator is told of them, once, by names alone. */
import { expect, test } from 'bun:test'
import { callsOf } from '../support/books.ts'
import { addUpstream } from '../support/named-upstream.ts'
import { issueKey, startServer } from '../support/server.ts'
import { settledLogs } from '../support/settled-logs.ts'
import {
  addSocketUpstream,
  bearer,
  openWebSocket,
  startSocketUpstream,
} from '../support/sockets.ts'
import { startUpstream } from '../support/upstream.ts'

const UNKNOWN = { sparks: 987654321, embers: 'value-of-embers', ash: { glow: 'value-of-glow' } }
const ANSWERS: Readonly<Record<string, object>> = {
  unknown: { model: 'm', usage: UNKNOWN },
  other: { model: 'm', token_usage: { sparks: 987654321 } },
  known: { model: 'm', usage: { ...UNKNOWN, prompt_tokens: 3, completion_tokens: 4 } },
  silent: { model: 'm', usage: {} },
}
const EVENTS = { 'content-type': 'text/event-stream' }

const upstream = startUpstream((request) => {
  const { pathname, searchParams } = new URL(request.url)
  const { n, ...answer } = { n: searchParams.get('n'), ...ANSWERS[pathname.slice(1)] }
  if (n !== null) return Response.json({ usage: { [`name${n}`]: 987654321 } })
  if (!searchParams.has('streamed')) return Response.json(answer)
  const stream = `data: {"model":"m"}\n\ndata: ${JSON.stringify(answer)}\n\ndata: [DONE]\n\n`
  return new Response(new Blob([stream]).stream(), { headers: EVENTS })
})
const server = await startServer({ LOG_LEVEL: 'info' })
const meter = { meter: { kind: 'tokens', output_tokens_default: 10 } }
for (const name of ['one', 'two', 'many'])
  await addUpstream(server, { name, base_url: upstream.url, ...meter })
const holder = await issueKey(server, { limits: undefined })

async function pass(path: string): Promise<void> {
  const response = await fetch(`${server.url}/u/${path}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${holder.key}` },
    body: '{"model":"m"}',
  })
  expect(response.status).toBe(200)
  await response.arrayBuffer()
}

/** What was told of an upstream, by the names. */
const told = (logs: string, upstream: string) =>
  logs
    .split('\n')
    .filter((line) => line.includes('under names that nobody knows'))
    .map((line) => JSON.parse(line) as { level: string; upstream: string; names: string[] })
    .filter((line) => line.upstream === upstream)

test('are told of once for each upstream and set of names, and no value with them', async () => {
  for (let n = 0; n < 3; n++)
    for (const path of ['unknown', 'unknown?streamed', 'other', 'known', 'silent'])
      await pass(`one/${path}`)
  await pass('two/unknown?streamed')
  await callsOf(server, holder.id)
  const logs = await settledLogs(server)
  const [first, second] = [['ash', 'embers', 'sparks'], ['sparks']]
  expect(told(logs, 'one').map(({ names }) => names)).toEqual([first, second])
  expect(told(logs, 'two').map(({ names }) => names)).toEqual([first])
  expect(told(logs, 'one')[0]?.level).toBe('warn')
  for (const value of ['987654321', 'value-of', 'glow']) expect(logs).not.toContain(value)
})

test('cannot fill the log with names that are made up', async () => {
  for (let n = 0; n < 30; n++) await pass(`many/x?n=${n}`)
  expect(told(await settledLogs(server), 'many')).toHaveLength(10)
})

test('are told of on WebSockets, too, by names alone, and once for all of them', async () => {
  const echo = startSocketUpstream()
  await addSocketUpstream(server, 'spoken', { base_url: echo.url, ...meter })
  for (const isBinary of [false, true]) {
    const client = await openWebSocket(`${server.url}/u/spoken/live`, bearer(holder.key))
    for (const message of [
      { usage: UNKNOWN },
      { type: 'ping' },
      { response: { usage: UNKNOWN } },
    ]) {
      const text = JSON.stringify(message)
      client.socket.send(isBinary ? Buffer.from(text) : text)
      await client.next()
    }
    client.socket.close()
    await client.closed
  }
  const understood = await openWebSocket(`${server.url}/u/spoken/live`, bearer(holder.key))
  for (const usage of [{ input_tokens: 1 }, { flames: 1 }]) {
    understood.socket.send(JSON.stringify({ usage }))
    await understood.next()
  }
  understood.socket.close()
  const logs = await settledLogs(server)
  expect(told(logs, 'spoken').map(({ names }) => names)).toEqual([['ash', 'embers', 'sparks']])
  for (const value of ['987654321', 'value-of', 'glow']) expect(logs).not.toContain(value)
})
