/** The log of calls, at a real terminal and for programs: one line a call, and nothing in it that is secret or obeyed. */
import { describe, expect, test } from 'bun:test'
import { addUpstream } from '../support/named-upstream.ts'
import { COMMAND, issueKey, startServer } from '../support/server.ts'
import { settledLogs } from '../support/settled-logs.ts'
import { openTerminal } from '../support/terminal.ts'
import { startUpstream } from '../support/upstream.ts'

/** A key's name, a model and a path as whoever wants to deceive would choose them. */
const MODEL = `m"\u001b[2J\u202e\\${'x'.repeat(100)}`
const SECRET = 'abcdef0123456789abcdef'

const upstream = startUpstream(() =>
  Response.json({ model: MODEL, usage: { prompt_tokens: 12, completion_tokens: 3 }, choices: [] }),
)
const METERED = {
  meter: { kind: 'tokens' },
  prices: [{ model: '*', input: 2_000_000, output: 8_000_000 }],
  base_url: upstream.url,
}

describe('at a terminal', () => {
  test('a call is one line, with who made it, what of, and what it cost', async () => {
    const shown = openTerminal(COMMAND, { PORT: '0', DATABASE_URL: ':memory:', ADMIN_TOKEN })
    const url = await listening(shown)
    const server = { ...operatorOf(url), url }
    await server.admin('POST', '/admin/upstreams', { ...METERED, name: 'shop', mount: '/v1' })
    const made = await server.admin('POST', '/admin/keys', { name: 'Alice \u202eecilA', quota: 2 })
    const { key } = (await made.json()) as { key: string }
    const headers = { 'x-api-key': key, 'content-type': 'application/json' }
    const body = JSON.stringify({ model: 'gpt-4o', messages: [] })
    const call = (path: string) => fetch(url + path, { method: 'POST', headers, body })

    await call('/v1/chat/completions?token=hidden-query')
    await call(`/v1/threads/thread_${SECRET}/runs%1b[2J`)
    await call('/v1/chat/completions')
    await call(`/v1/${key}`)
    await fetch(`${url}/v1/password-of-mine`, { headers: {} })
    const text = await shown.shows(/missing_api_key[^\n]*\n/)

    const lines = text.split(/\r?\n/).filter((line) => / \d+ tokens \d+ ms$/.test(line))
    expect(lines).toHaveLength(5)
    expect(lines[0]).toMatch(
      /^\[\d\d:\d\d:\d\d\.\d{3}\] Alice \ufffdecilA POST \/v1\/chat\/completions m"\ufffd\[2J\ufffd\\x+… 200 cost 0\.000048 15 tokens \d+ ms$/,
    )
    expect(lines[0]?.length).toBeLessThan(250)
    expect(lines[1]).toContain('POST /v1/threads/thread_…/runs%1b[2J ')
    expect(lines[2]).toContain(' 429 insufficient_quota cost 0.00 0 tokens ')
    expect(lines[3]).toContain(' POST /v1/… 422 invalid_request ')
    expect(lines[4]).toContain('] no key GET /v1/… 401 missing_api_key ')
    for (const secret of [
      key,
      key.slice(-20),
      SECRET,
      'hidden-query',
      'password-of-mine',
      '\u202e',
    ])
      expect(shown.raw()).not.toContain(secret)
    shown.end()
  })
})

test('for programs, a call has its method, its model, its tokens and its cost', async () => {
  const server = await startServer()
  await addUpstream(server, { ...METERED, name: 'shop', mount: '/v1' })
  const { key, id } = await issueKey(server, { quota: 10 })
  const headers = { 'x-api-key': key, 'content-type': 'application/json' }
  await fetch(`${server.url}/v1/chat/completions`, {
    method: 'POST',
    headers,
    body: '{"model":"a"}',
  })
  await fetch(`${server.url}/v1/models`, { headers: { 'x-api-key': 'none' } })
  const calls = (await settledLogs(server))
    .split('\n')
    .filter((line) => line.includes('"msg":"call"'))
  expect(calls.join('')).not.toMatch(/[^\u0020-\u007e]/)
  const lines = calls.map((line) => JSON.parse(line))
  // Written when it is settled, which may be after the next one was refused.
  const [first, second] = lines.toSorted((one, other) => one.status - other.status)
  expect(first).toMatchObject({
    ...{ key_id: id, upstream: 'shop', method: 'POST', status: 200, cost: 1, tokens: 15 },
    cost_micros: 48,
  })
  expect(first.model).toMatch(/^m"\u001b\[2J\u202e\\x{70,80}…$/)
  expect(second).toMatchObject({ key_id: null, method: 'GET', model: null, tokens: 0, cost: 0 })
})

const ADMIN_TOKEN = 'token-of-this-test-0123456789-abcdef'

function operatorOf(url: string) {
  const headers = { authorization: `Bearer ${ADMIN_TOKEN}`, 'content-type': 'application/json' }
  return {
    admin: (method: string, path: string, body: object) =>
      fetch(url + path, { method, headers, body: JSON.stringify(body) }),
  }
}

async function listening(shown: ReturnType<typeof openTerminal>): Promise<string> {
  const text = await shown.shows(/is listening on http:\/\/[^/]+\/ /)
  return /is listening on (http:\/\/[^/]+)\/ /.exec(text)?.[1] ?? ''
}
