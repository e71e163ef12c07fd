/** What clients of Mistral's API need of it, in the form in which Mistral answers (docs.mistral.ai/api). */
import { type ApiServer, type Asked, eventStream, startApi } from '../api-server.ts'

export const MISTRAL_CREDENTIAL = 'mistral-operator-0a1b2c3d4e5f6g7h'
export const MODEL = 'mistral-small-latest'
/** A stream of this model stops half-way and stays silent. */
export const STALLING = 'mistral-stalling'

const USAGE = { prompt_tokens: 16, completion_tokens: 34, total_tokens: 50 }
export const USED = { input: 16, output: 34 }
export const WORDS = ['Zu ', '„你好“: ', '🌍! ', 'Und "usage":{ ', 'ist nur ein Wort.']

export function startMistral(): ApiServer {
  return startApi({
    routes: {
      'POST /v1/chat/completions': chat,
      'POST /v1/fim/completions': chat,
      'POST /v1/embeddings': ({ json }) =>
        Response.json({
          id: 'e-1',
          object: 'list',
          model: json['model'],
          data: [{ object: 'embedding', index: 0, embedding: [0.1, 0.2] }],
          usage: { prompt_tokens: 5, completion_tokens: 0, total_tokens: 5 },
        }),
    },
    isOperator: (headers) => headers.get('authorization') === `Bearer ${MISTRAL_CREDENTIAL}`,
    error: (_, message) => ({
      object: 'error',
      message,
      type: 'invalid_request_error',
      code: null,
    }),
  })
}

/** As Mistral does: whatever it does not know is refused. */
function chat(asked: Asked): Response {
  const { json } = asked
  if ('stream_options' in json) {
    const detail = [{ type: 'extra_forbidden', loc: ['body', 'stream_options'] }]
    const error = {
      object: 'error',
      message: { detail },
      type: 'invalid_request_error',
      code: null,
    }
    return Response.json(error, { status: 422 })
  }
  const base = { id: 'm-1', created: 1_780_000_000, model: json['model'] }
  if (json['stream']) return stream(asked, { ...base, object: 'chat.completion.chunk' })
  const finish_reason = wantsTool(asked) ? 'tool_calls' : 'stop'
  const message = { role: 'assistant', content: '', ...messageFor(asked) }
  const choices = [{ index: 0, message, finish_reason }]
  return Response.json({ ...base, object: 'chat.completion', choices, usage: USAGE })
}

const wantsTool = ({ json }: Asked) => {
  const messages = json['messages'] as { role: string }[] | undefined
  return Array.isArray(json['tools']) && messages?.at(-1)?.role !== 'tool'
}

function messageFor(asked: Asked): object {
  if (!wantsTool(asked)) return { content: WORDS.join('') }
  const call = { name: 'weather', arguments: '{"city":"Zürich"}' }
  return { tool_calls: [{ id: 'call00001', type: 'function', function: call, index: 0 }] }
}

/** The usage stands beside the last choice, unasked. */
function stream(asked: Asked, base: object): Response {
  const calls = wantsTool(asked)
  const deltas = calls
    ? [{ role: 'assistant', content: '', ...messageFor(asked) }]
    : WORDS.map((content) => ({ role: 'assistant', content }))
  const chunk = (delta: object, more: object = {}, finish_reason: string | null = null) =>
    `data: ${JSON.stringify({ ...base, choices: [{ index: 0, delta, finish_reason }], ...more })}\n\n`
  const last = chunk({ content: '' }, { usage: USAGE }, calls ? 'tool_calls' : 'stop')
  const events = [...deltas.map((delta) => chunk(delta)), last, 'data: [DONE]\n\n']
  return eventStream(events, asked.json['model'] === STALLING)
}
