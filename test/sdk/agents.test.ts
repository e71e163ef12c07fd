/**
 * The requests that Codex and Claude Code send, as they send them: a compressed body, a count before each message, a second
 * model for small work. They get answers, and their tokens are counted right.
 */
import { expect, test } from 'bun:test'
import { ANTHROPIC_CREDENTIAL, startAnthropic } from '../support/anthropic-server.ts'
import { callsOf } from '../support/books.ts'
import { addUpstream } from '../support/named-upstream.ts'
import { OPENAI_CREDENTIAL, startOpenAi } from '../support/openai-server.ts'
import { issueKey, startServer } from '../support/server.ts'

const openai = startOpenAi()
const anthropic = startAnthropic()
const server = await startServer()
const prices = [{ model: '*', input: 1_000_000, cached_input: 100_000, output: 5_000_000 }]
await addUpstream(server, {
  name: 'openai',
  base_url: `${openai.url}/v1`,
  credential: { secret: OPENAI_CREDENTIAL },
  mount: '/v1',
  prices,
})
await addUpstream(server, {
  name: 'anthropic',
  base_url: anthropic.url,
  credential: { secret: ANTHROPIC_CREDENTIAL, header: 'x-api-key' },
  prices,
})

const limits = [
  { name: 'tokens', unit: 'tokens', amount: 1_000_000, window: 'day' },
  { name: 'money', unit: 'cost', amount: 100_000_000, window: 'month' },
]
const holder = (fields: object = {}) => issueKey(server, { quota: null, limits, ...fields })

/** As codex-rs writes it, without its instructions of 20 KB. */
const QUESTION = 'Wie heißt die Hauptstadt von 日本?'
const CODEX = {
  model: 'gpt-5-codex',
  instructions: 'You are Codex.',
  input: QUESTION,
  tools: [
    { type: 'function', name: 'shell', strict: false, parameters: { type: 'object' } },
    { type: 'web_search' },
  ],
  tool_choice: 'auto',
  parallel_tool_calls: false,
  reasoning: { effort: 'medium', summary: 'auto' },
  store: false,
  stream: true,
  include: ['reasoning.encrypted_content'],
  prompt_cache_key: '0199a213-81c0-7800-8aa1-bbab2a035a53',
}
const CODEX_HEADERS = {
  'content-type': 'application/json',
  accept: 'text/event-stream',
  'openai-beta': 'responses=experimental',
  originator: 'codex_cli_rs',
  session_id: '0199a213-81c0-7800-8aa1-bbab2a035a53',
  'user-agent': 'codex_cli_rs/0.60.1 (Debian 12.0.0; x86_64) xterm-256color',
}

async function askCodex(key: string, body: string | Uint8Array, coding?: string) {
  const response = await fetch(`${server.url}/v1/responses`, {
    method: 'POST',
    headers: {
      ...CODEX_HEADERS,
      authorization: `Bearer ${key}`,
      ...(coding && { 'content-encoding': coding }),
    },
    body,
  })
  return { status: response.status, headers: response.headers, text: await response.text() }
}

/** What the API says that it uses for the question: see its `response`. */
async function usedByCodex() {
  const response = await fetch(`${openai.url}/v1/responses`, {
    method: 'POST',
    headers: { ...CODEX_HEADERS, authorization: `Bearer ${OPENAI_CREDENTIAL}` },
    body: JSON.stringify({ ...CODEX, stream: false }),
  })
  const { usage } = (await response.json()) as {
    usage: {
      input_tokens: number
      output_tokens: number
      total_tokens: number
      input_tokens_details: { cached_tokens: number }
      output_tokens_details: { reasoning_tokens: number }
    }
  }
  return {
    charged: usage.total_tokens,
    input: usage.input_tokens,
    output: usage.output_tokens,
    cached: usage.input_tokens_details.cached_tokens,
    reasoning: usage.output_tokens_details.reasoning_tokens,
  }
}

test('Codex asks with a plain body', async () => {
  const { key, id } = await holder()
  const { status, text } = await askCodex(key, JSON.stringify(CODEX))
  expect(status).toBe(200)
  expect(text).toContain('event: response.completed')
  const [call, ...others] = await callsOf(server, id)
  expect(call).toMatchObject({ estimated: false, tokens: await usedByCodex() })
  expect(others).toEqual([])
  expect(openai.asked.at(-2)?.headers.get('session_id')).toBe(CODEX_HEADERS.session_id)
})

test('Codex is refused a body that is no zstd, before it goes out', async () => {
  const { key, id } = await holder()
  const before = openai.asked.length
  const { status, text } = await askCodex(key, 'this is not zstd', 'zstd')
  expect(status).toBeGreaterThanOrEqual(400)
  expect(status).toBeLessThan(500)
  expect(JSON.parse(text)).toMatchObject({ error: { message: expect.any(String) } })
  expect(openai.asked.length).toBe(before)
  expect(await callsOf(server, id)).toEqual([])
})

test('Codex asks with a body in zstd, which passes as it came', async () => {
  const seen: Uint8Array[] = []
  const api = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    async fetch(request) {
      seen.push(await request.bytes())
      expect(request.headers.get('content-encoding')).toBe('zstd')
      const usage = { input_tokens: 900, output_tokens: 40, total_tokens: 940 }
      const response = { id: 'r', object: 'response', model: 'gpt-5-codex', output: [], usage }
      const event = { type: 'response.completed', response }
      return new Response(`event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`, {
        headers: { 'content-type': 'text/event-stream' },
      })
    },
  })
  await addUpstream(server, {
    name: 'coded',
    base_url: `http://127.0.0.1:${api.port}/v1`,
    credential: { secret: OPENAI_CREDENTIAL },
    prices,
  })
  const { key, id } = await holder({ models: ['gpt-5-codex'] })
  const body = Bun.zstdCompressSync(JSON.stringify(CODEX))
  const response = await fetch(`${server.url}/u/coded/responses`, {
    method: 'POST',
    headers: { ...CODEX_HEADERS, authorization: `Bearer ${key}`, 'content-encoding': 'zstd' },
    body,
  })
  expect([response.status, await response.text()]).toEqual([200, expect.stringContaining('900')])
  expect(seen.map((bytes) => Buffer.from(bytes).equals(body))).toEqual([true])
  expect(await callsOf(server, id)).toMatchObject([
    { estimated: false, tokens: { charged: 940 }, model: 'gpt-5-codex' },
  ])
  await api.stop(true)
})

test('Codex with nothing left is told so in the words that it reads', async () => {
  const { key } = await holder({ quota: 0 })
  const { status, text } = await askCodex(key, JSON.stringify(CODEX))
  expect(status).toBe(429)
  // codex-rs ends the turn for this code, and tries any other 429 again.
  expect(JSON.parse(text)).toMatchObject({ error: { code: 'insufficient_quota' } })
})

const CLAUDE = {
  model: 'claude-opus-5',
  max_tokens: 32_000,
  stream: true,
  thinking: { type: 'enabled', budget_tokens: 31_999 },
  metadata: { user_id: 'user_0a1b_account__session_2c3d' },
  system: [
    { type: 'text', text: 'You are Claude Code.', cache_control: { type: 'ephemeral' } },
    { type: 'text', text: 'x'.repeat(20_000), cache_control: { type: 'ephemeral', ttl: '1h' } },
  ],
  messages: [{ role: 'user', content: [{ type: 'text', text: QUESTION }] }],
  tools: [{ name: 'Bash', description: 'Runs a command', input_schema: { type: 'object' } }],
}
const CLAUDE_HEADERS = {
  'content-type': 'application/json',
  accept: 'application/json',
  'anthropic-version': '2023-06-01',
  'anthropic-beta':
    'claude-code-20250219,interleaved-thinking-2025-05-14,fine-grained-tool-streaming-2025-05-14',
  'anthropic-dangerous-direct-browser-access': 'true',
  'x-app': 'cli',
  'x-stainless-retry-count': '0',
  'user-agent': 'claude-cli/2.0.50 (external, cli)',
}

function askClaude(key: string, path: string, body: object): Promise<Response> {
  return fetch(`${server.url}/u/anthropic${path}`, {
    method: 'POST',
    headers: { ...CLAUDE_HEADERS, authorization: `Bearer ${key}` },
    body: JSON.stringify(body),
  })
}

test('Claude Code counts, asks a small model, and asks the great one: the count is free', async () => {
  const { key, id } = await holder()
  const { model, messages, tools } = CLAUDE
  const counted = await askClaude(key, '/v1/messages/count_tokens?beta=true', {
    model,
    messages,
    tools,
  })
  expect(await counted.json()).toEqual({ input_tokens: JSON.stringify(messages).length })
  const small = {
    model: 'claude-haiku',
    max_tokens: 1,
    messages: [{ role: 'user', content: 'quota' }],
  }
  const tried = await askClaude(key, '/v1/messages?beta=true', small)
  const asked = await askClaude(key, '/v1/messages?beta=true', CLAUDE)
  expect([tried.status, asked.status]).toEqual([200, 200])
  const { usage } = (await tried.json()) as { usage: Record<string, number> }
  const events = (await asked.text()).split('\n').filter((line) => line.startsWith('data: '))
  const sums = { input: 0, output: 0 }
  for (const line of events) {
    const event = JSON.parse(line.slice('data: '.length))
    if (event.type === 'message_start') sums.input = inputOf(event.message.usage)
    if (event.type === 'message_delta') sums.output = event.usage.output_tokens
  }
  const calls = await callsOf(server, id)
  expect(calls.map(({ tokens, estimated }) => [tokens.charged, estimated])).toEqual([
    [sums.input + sums.output, false],
    [inputOf(usage) + (usage['output_tokens'] ?? -1), false],
    [0, false],
  ])
  expect(anthropic.asked.at(-1)?.headers.get('anthropic-beta')).toBe(
    CLAUDE_HEADERS['anthropic-beta'],
  )
})

function inputOf(usage: Record<string, number>): number {
  const { input_tokens, cache_creation_input_tokens, cache_read_input_tokens } = usage
  return (input_tokens ?? 0) + (cache_creation_input_tokens ?? 0) + (cache_read_input_tokens ?? 0)
}

test('Claude Code with nothing left reads an error of Anthropic’s form', async () => {
  const { key } = await holder({ quota: 0 })
  const response = await askClaude(key, '/v1/messages?beta=true', CLAUDE)
  expect(response.status).toBe(429)
  expect(response.headers.get('x-should-retry')).toBe('false')
  expect(await response.json()).toMatchObject({
    type: 'error',
    error: { type: 'rate_limit_error', message: expect.any(String) },
    request_id: expect.any(String),
  })
})
