/** What clients of Cohere's API v2 need of it, in the form in which Cohere answers (docs.cohere.com/v2/reference/chat). */
import { type ApiServer, type Asked, eventStream, startApi } from '../api-server.ts'

export const COHERE_CREDENTIAL = 'co-operator-0a1b2c3d4e5f6g7h'
export const MODEL = 'command-a-03-2025'
/** A stream of this model stops half-way and stays silent. */
export const STALLING = 'command-stalling'

/** What is billed leaves out what Cohere itself puts before the question. */
const USAGE = {
  billed_units: { input_tokens: 17, output_tokens: 31 },
  tokens: { input_tokens: 215, output_tokens: 33 },
}
export const USED = { input: 17, output: 31 }
export const WORDS = ['Zu ', '„你好“: ', '🌍! ', 'Und "billed_units":{ ', 'ist nur ein Wort.']

export function startCohere(): ApiServer {
  return startApi({
    routes: {
      'POST /v2/chat': (asked) => (asked.json['stream'] ? stream(asked) : whole(asked)),
      'POST /v2/embed': () =>
        Response.json({
          id: 'e-1',
          response_type: 'embeddings_by_type',
          texts: ['hi'],
          embeddings: { float: [[0.1, 0.2]] },
          meta: { api_version: { version: '2' }, billed_units: { input_tokens: 3 } },
        }),
      'POST /v2/rerank': () =>
        Response.json({
          id: 'r-1',
          results: [{ index: 0, relevance_score: 0.9 }],
          meta: { api_version: { version: '2' }, billed_units: { search_units: 1 } },
        }),
    },
    isOperator: (headers) => headers.get('authorization') === `Bearer ${COHERE_CREDENTIAL}`,
    error: (_, message) => ({ message, id: 'x-1' }),
  })
}

const wantsTool = ({ json }: Asked) => {
  const messages = json['messages'] as { role: string }[]
  return Array.isArray(json['tools']) && messages.at(-1)?.role !== 'tool'
}

const TOOL_CALL = {
  id: 'weather_1',
  type: 'function',
  function: { name: 'weather', arguments: '' },
}
const ARGUMENTS = '{"city":"Zürich"}'

function whole(asked: Asked): Response {
  const calls = wantsTool(asked)
  const tool_calls = [{ ...TOOL_CALL, function: { name: 'weather', arguments: ARGUMENTS } }]
  const content = [{ type: 'text', text: WORDS.join('') }]
  const message = calls ? { role: 'assistant', tool_calls } : { role: 'assistant', content }
  const finish_reason = calls ? 'TOOL_CALL' : 'COMPLETE'
  return Response.json({ id: 'c-1', finish_reason, message, usage: USAGE })
}

function stream(asked: Asked): Response {
  const calls = wantsTool(asked)
  const delta = (message: object) => ({ index: 0, delta: { message } })
  const tool_calls = { function: { arguments: ARGUMENTS } }
  const middle = calls
    ? [
        { type: 'tool-call-start', ...delta({ tool_calls: TOOL_CALL }) },
        { type: 'tool-call-delta', ...delta({ tool_calls }) },
        { type: 'tool-call-end', index: 0 },
      ]
    : [
        { type: 'content-start', ...delta({ content: { type: 'text', text: '' } }) },
        ...WORDS.map((text) => ({ type: 'content-delta', ...delta({ content: { text } }) })),
        { type: 'content-end', index: 0 },
      ]
  const finish_reason = calls ? 'TOOL_CALL' : 'COMPLETE'
  const events = [
    { type: 'message-start', id: 'c-1', delta: { message: { role: 'assistant', content: [] } } },
    ...middle,
    { type: 'message-end', delta: { finish_reason, usage: USAGE } },
  ]
  const texts = events.map((one) => `event: ${one.type}\ndata: ${JSON.stringify(one)}\n\n`)
  return eventStream(texts, asked.json['model'] === STALLING)
}
