/**
 * What clients of Anthropic's messages need of it, in the form in which Anthropic answers. What it reports to have used
 * follows from the question, and its input leaves out what the cache was read or written for.
 */
import { type ApiServer, type Asked, eventStream, type Route, startApi } from './api-server.ts'

export const ANTHROPIC_CREDENTIAL = 'sk-ant-operator-0a1b2c3d4e5f6g7h'

/** A stream of this model stops half-way and stays silent. */
export const STALLING = 'claude-stalling'

export function startAnthropic(): ApiServer {
  return startApi({
    routes: ROUTES,
    // Either will do, as at Anthropic: the SDK sends the second since its version 1, and sent the first before.
    isOperator: (headers) =>
      headers.get('x-api-key') === ANTHROPIC_CREDENTIAL ||
      headers.get('authorization') === `Bearer ${ANTHROPIC_CREDENTIAL}`,
    error: (status, message) => ({
      type: 'error',
      error: { type: status === 401 ? 'authentication_error' : 'not_found_error', message },
      request_id: 'req_1',
    }),
  })
}

const ROUTES: Readonly<Record<string, Route>> = {
  'POST /v1/messages': (asked) =>
    asked.json['stream'] ? streamMessage(asked) : Response.json(message(asked)),
  'POST /v1/messages/count_tokens': (asked) => Response.json({ input_tokens: inputOf(asked) }),
  'GET /v1/models': () =>
    Response.json({ data: [MODEL], first_id: MODEL.id, last_id: MODEL.id, has_more: false }),
}

const MODEL = {
  type: 'model',
  id: 'claude-opus-5',
  display_name: 'Claude Opus 5',
  created_at: '2026-02-19T00:00:00Z',
}

const inputOf = ({ json }: Asked) => JSON.stringify(json['messages']).length

function usageOf(asked: Asked) {
  return {
    input_tokens: inputOf(asked),
    cache_creation_input_tokens: 40,
    cache_read_input_tokens: 300,
    output_tokens: wordsFor(asked).length + 7,
  }
}

/** The answer in pieces, with characters of every length in UTF-8. */
function wordsFor({ json }: Asked): string[] {
  const messages = json['messages']
  const question = Array.isArray(messages) ? messages.at(-1)?.content : ''
  const text = typeof question === 'string' ? question : 'weather'
  return `Zu „${text}“: 你好, 🌍! Und "usage":{ ist nur ein Wort.`.split(/(?<= )/)
}

/** Whether the question is one for a tool, and not the answer of one. */
function wantsTool({ json }: Asked): boolean {
  const messages = json['messages']
  return (
    Array.isArray(json['tools']) &&
    Array.isArray(messages) &&
    typeof messages.at(-1)?.content === 'string'
  )
}

const TOOL_INPUT = { city: 'Zürich' }

function contentFor(asked: Asked) {
  return wantsTool(asked)
    ? { type: 'tool_use', id: 'toolu_1', name: 'weather', input: TOOL_INPUT }
    : { type: 'text', text: wordsFor(asked).join('') }
}

function message(asked: Asked) {
  return {
    id: 'msg_1',
    type: 'message',
    role: 'assistant',
    model: `${asked.json['model']}-20260219`,
    content: [contentFor(asked)],
    stop_reason: wantsTool(asked) ? 'tool_use' : 'end_turn',
    stop_sequence: null,
    usage: usageOf(asked),
  }
}

function streamMessage(asked: Asked): Response {
  const whole = message(asked)
  const calls = wantsTool(asked)
  const pieces = calls
    ? JSON.stringify(TOOL_INPUT)
        .split(/(?<=:)/)
        .map((json) => ({ type: 'input_json_delta', partial_json: json }))
    : wordsFor(asked).map((text) => ({ type: 'text_delta', text }))
  // What it will write is not known at the start; Anthropic says 1.
  const usage = { ...whole.usage, output_tokens: 1 }
  const started = { ...whole, content: [], stop_reason: null, usage }
  const block = calls ? { ...contentFor(asked), input: {} } : { type: 'text', text: '' }
  const events = [
    { type: 'message_start', message: started },
    { type: 'content_block_start', index: 0, content_block: block },
    { type: 'ping' },
    ...pieces.map((delta) => ({ type: 'content_block_delta', index: 0, delta })),
    { type: 'content_block_stop', index: 0 },
    {
      type: 'message_delta',
      delta: { stop_reason: whole.stop_reason, stop_sequence: null },
      usage: { output_tokens: whole.usage.output_tokens },
    },
    { type: 'message_stop' },
  ]
  const texts = events.map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`)
  return eventStream(texts, asked.json['model'] === STALLING)
}
