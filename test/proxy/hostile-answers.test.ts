/** Answers that are meant to break what counts them: each passes as it is, and is charged once, within what it allowed. */
import { expect, test } from 'bun:test'
import zlib from 'node:zlib'
import { callsOf, usedByLimit } from '../support/books.ts'
import { addUpstream } from '../support/named-upstream.ts'
import { issueKey, startServer } from '../support/server.ts'
import { startUpstream } from '../support/upstream.ts'

const MiB = 1024 * 1024
const REPORT = '"usage":{"prompt_tokens":5,"completion_tokens":7}'
const EVENTS = 'text/event-stream'
const escaped = JSON.stringify(`{${REPORT}}`)
const numbers = (value: string) =>
  `{"usage":{"prompt_tokens":${value},"completion_tokens":${value}}}`

type Answer = {
  readonly type?: string
  readonly coding?: string
  readonly parts: readonly (string | Uint8Array)[]
  /** Tokens that are charged: a number, or what no charge may be above, with at least one. */
  readonly tokens: number | { readonly most: number }
}

/** `max_tokens` of each request is 20, and its text is less than 30 tokens. */
const GUESSED = { most: 50 } as const
const filler = Buffer.alloc(MiB, 'iVBORw0KGgoA')
const ANSWERS: Readonly<Record<string, Answer>> = {
  'an event of 50 MiB, with its report behind': {
    type: EVENTS,
    parts: ['data: {"model":"m","b64_json":"', ...Array(50).fill(filler), `",${REPORT}}\n\n`],
    tokens: 12,
  },
  'a million brackets': { parts: ['['.repeat(1e6)], tokens: GUESSED },
  'a million brackets around a report': {
    parts: [`{"x":${'['.repeat(1e6)}${']'.repeat(1e6)},${REPORT}}`],
    tokens: 12,
  },
  'a bomb': {
    coding: 'gzip',
    parts: [zlib.gzipSync(Buffer.alloc(100 * MiB, ' '))],
    tokens: GUESSED,
  },
  'no number': { parts: [numbers('NaN')], tokens: GUESSED },
  'negative numbers': { parts: [numbers('-9')], tokens: GUESSED },
  'huge numbers': { parts: [numbers('1e300')], tokens: GUESSED },
  'numbers of a thousand digits': { parts: [numbers('9'.repeat(1000))], tokens: GUESSED },
  'a report in the text of an answer': {
    parts: [`{"choices":[{"message":{"content":${escaped}}}]}`],
    tokens: GUESSED,
  },
  'a report in the text of a stream': {
    type: EVENTS,
    parts: Array(9).fill(`data: {"choices":[{"delta":{"content":${escaped}}}],"usage":null}\n\n`),
    tokens: GUESSED,
  },
  'a report that comes a thousand times': {
    type: EVENTS,
    parts: Array(1000).fill(`data: {"choices":[],${REPORT}}\n\n`),
    tokens: 12,
  },
} // biome-ignore format: a table

const upstream = startUpstream((request) => {
  const answer = Object.values(ANSWERS)[Number(new URL(request.url).pathname.slice(1))]
  const { type = 'application/json', coding, parts = [] } = answer ?? {}
  const headers = { 'content-type': type, ...(coding && { 'content-encoding': coding }) }
  return new Response(new Blob([...parts]).stream(), { headers })
})
const server = await startServer()
const meter = { meter: { kind: 'tokens', output_tokens_default: 10 } }
await addUpstream(server, { name: 'api', base_url: upstream.url, ...meter })

for (const [index, [name, { parts, tokens }]] of Object.entries(ANSWERS).entries()) {
  test(`${name} passes, and is charged once`, async () => {
    const limits = [{ name: 'tokens', unit: 'tokens', amount: 1e6, window: 'lifetime' }]
    const { key, id } = await issueKey(server, { quota: null, limits })
    const response = await fetch(`${server.url}/u/api/${index}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, 'accept-encoding': 'gzip' },
      body: JSON.stringify({ model: 'm', max_tokens: 20, messages: [{ content: 'Hello!' }] }),
      decompress: false,
    })
    const sent = parts.reduce((sum, part) => sum + Buffer.from(part as string).length, 0)
    expect((await response.arrayBuffer()).byteLength).toBe(sent)
    const calls = await callsOf(server, id)
    expect(calls).toHaveLength(1)
    const { tokens: used = -1 } = await usedByLimit(server, id)
    if (typeof tokens === 'number') expect(used).toBe(tokens)
    else expect(used).toBeWithin(1, tokens.most + 1)
  })
}
