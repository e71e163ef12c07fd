/**
 * What clients of the OpenAI API need of it, in the form in which OpenAI answers. What it reports to have used follows from
 * the question, and is another number in every field.
 */
import { type ApiServer, type Asked, eventStream, type Route, startApi } from './api-server.ts'

export const OPENAI_CREDENTIAL = 'sk-proj-operator-0a1b2c3d4e5f6g7h'

/** A stream of this model stops half-way and stays silent. */
export const STALLING = 'gpt-4o-stalling'

const MODELS = ['gpt-4o', 'gpt-4o-mini', 'o4-mini', 'text-embedding-3-small', 'gpt-image-1']
const CREATED = 1_780_000_000
/** Longer than what the proxy reads as a whole, so that the usage behind them is found at the end. */
const IMAGE_BYTES = 150_000
const DIMENSIONS = 1536

export function startOpenAi(): ApiServer {
  return startApi({
    routes: ROUTES,
    isOperator: (headers) => headers.get('authorization') === `Bearer ${OPENAI_CREDENTIAL}`,
    error: (status, message) => ({
      error: {
        message,
        type: 'invalid_request_error',
        param: null,
        code: status === 401 ? 'invalid_api_key' : null,
      },
    }),
  })
}

const ROUTES: Readonly<Record<string, Route>> = {
  'GET /v1/models': () => Response.json({ object: 'list', data: MODELS.map(model) }),
  'GET /v1/models/gpt-4o': () => Response.json(model('gpt-4o')),
  'POST /v1/chat/completions': (asked) =>
    asked.json['stream'] ? streamChat(asked) : Response.json(chat(asked)),
  'POST /v1/embeddings': embed,
  'POST /v1/responses': (asked) =>
    asked.json['stream'] ? streamResponse(asked) : Response.json(response(asked, 'completed')),
  'POST /v1/images/generations': paint,
  'POST /v1/moderations': () => Response.json({ id: 'modr-1', model: 'omni', results: [] }),
  'POST /v1/files': keepFile,
  'DELETE /v1/files/file-1': () => Response.json({ id: 'file-1', object: 'file', deleted: true }),
}

function model(id: string) {
  return { id, object: 'model', created: CREATED, owned_by: 'system' }
}

/** As OpenAI does: asked for an alias, answered by a version. */
const versionOf = ({ json }: Asked) => `${json['model']}-2026-08-06`

/** What a question and its answer use; `tokens` are spread over all fields. */
function chatUsage({ json }: Asked) {
  const prompt = JSON.stringify(json['messages']).length
  const completion = wordsFor(json).length + 17
  return {
    prompt_tokens: prompt,
    completion_tokens: completion,
    total_tokens: prompt + completion,
    prompt_tokens_details: { cached_tokens: Math.floor(prompt / 3), audio_tokens: 0 },
    completion_tokens_details: { reasoning_tokens: 17, audio_tokens: 0 },
  }
}

/** The answer in pieces, with characters of every length in UTF-8. */
function wordsFor({ messages, input }: Asked['json']): string[] {
  const question = Array.isArray(messages) ? messages.at(-1)?.content : input
  return `Zu „${question}“: 你好, 🌍! Und "usage":{ ist nur ein Wort.`.split(/(?<= )/)
}

function wantsTool({ json }: Asked): boolean {
  const messages = json['messages']
  return Array.isArray(json['tools']) && Array.isArray(messages) && messages.at(-1).role !== 'tool'
}

const TOOL_ARGUMENTS = '{"city":"Zürich"}'
const TOOL_CALL = { id: 'call_1', type: 'function', function: { name: 'weather', arguments: '' } }

function chat(asked: Asked) {
  const calls = wantsTool(asked)
  const toolCall = { ...TOOL_CALL, function: { name: 'weather', arguments: TOOL_ARGUMENTS } }
  const message = calls
    ? { role: 'assistant', content: null, refusal: null, tool_calls: [toolCall] }
    : { role: 'assistant', content: wordsFor(asked.json).join(''), refusal: null }
  return {
    id: 'chatcmpl-1',
    object: 'chat.completion',
    created: CREATED,
    model: versionOf(asked),
    choices: [{ index: 0, message, logprobs: null, finish_reason: calls ? 'tool_calls' : 'stop' }],
    usage: chatUsage(asked),
    service_tier: 'default',
    system_fingerprint: 'fp_1',
  }
}

function streamChat(asked: Asked): Response {
  const { json } = asked
  const isCounted = (json['stream_options'] as { include_usage?: boolean })?.include_usage === true
  const base = {
    id: 'chatcmpl-1',
    object: 'chat.completion.chunk',
    created: CREATED,
    model: versionOf(asked),
    system_fingerprint: 'fp_1',
  }
  // As OpenAI does: with the option every chunk has the member, and without it none.
  const none = isCounted ? { usage: null } : {}
  const chunk = (delta: object, finish_reason: string | null = null) => {
    const choices = [{ index: 0, delta, logprobs: null, finish_reason }]
    return dataOf({ ...base, choices, ...none })
  }
  const deltas = wantsTool(asked)
    ? [
        { tool_calls: [{ index: 0, ...TOOL_CALL }] },
        ...TOOL_ARGUMENTS.split(':').map((piece, i) => ({
          tool_calls: [{ index: 0, function: { arguments: i > 0 ? `:${piece}` : piece } }],
        })),
      ]
    : wordsFor(json).map((content) => ({ content }))
  const events = [
    chunk({ role: 'assistant', content: '' }),
    ...deltas.map((delta) => chunk(delta)),
    chunk({}, wantsTool(asked) ? 'tool_calls' : 'stop'),
    ...(isCounted ? [dataOf({ ...base, choices: [], usage: chatUsage(asked) })] : []),
    'data: [DONE]\n\n',
  ]
  return eventStream(events, json['model'] === STALLING)
}

function dataOf(value: unknown): string {
  return `data: ${JSON.stringify(value)}\n\n`
}

/** In base64 if it was asked for, as the SDK does by itself. */
function embed(asked: Asked): Response {
  const { input, encoding_format: format } = asked.json
  const texts = Array.isArray(input) ? input.map(String) : [String(input)]
  const data = texts.map((text, index) => {
    const numbers = Float32Array.from({ length: DIMENSIONS }, (_, i) => (text.length + i) / 4096)
    const embedding =
      format === 'base64' ? Buffer.from(numbers.buffer).toString('base64') : [...numbers]
    return { object: 'embedding', index, embedding }
  })
  const tokens = texts.join('').length
  const usage = { prompt_tokens: tokens, total_tokens: tokens }
  return Response.json({ object: 'list', data, model: asked.json['model'], usage })
}

function response(asked: Asked, status: 'in_progress' | 'completed') {
  const { json } = asked
  const input = String(json['input']).length
  const output = wordsFor(json).length + 29
  const text = { type: 'output_text', text: wordsFor(json).join(''), annotations: [] }
  const message = { type: 'message', id: 'msg_1', status, role: 'assistant', content: [text] }
  const isDone = status === 'completed'
  return {
    id: 'resp_1',
    object: 'response',
    created_at: CREATED,
    status,
    error: null,
    model: versionOf(asked),
    output: isDone ? [message] : [],
    usage: isDone
      ? {
          input_tokens: input,
          input_tokens_details: { cached_tokens: Math.floor(input / 2) },
          output_tokens: output,
          output_tokens_details: { reasoning_tokens: 29 },
          total_tokens: input + output,
        }
      : null,
  }
}

function streamResponse(asked: Asked): Response {
  const at = { item_id: 'msg_1', output_index: 0, content_index: 0 }
  const words = wordsFor(asked.json)
  const events = [
    { type: 'response.created', response: response(asked, 'in_progress') },
    ...words.map((delta) => ({ type: 'response.output_text.delta', ...at, delta })),
    { type: 'response.output_text.done', ...at, text: words.join('') },
    { type: 'response.completed', response: response(asked, 'completed') },
  ]
  return eventStream(
    events.map((event, i) => `event: ${event.type}\n${dataOf({ ...event, sequence_number: i })}`),
  )
}

function paint({ json }: Asked): Response {
  const data = [{ b64_json: Buffer.alloc(IMAGE_BYTES, String(json['prompt'])).toString('base64') }]
  const usage = { input_tokens: 11, output_tokens: 1056, total_tokens: 1067 }
  return Response.json({ created: CREATED, data, usage })
}

async function keepFile({ form }: Asked): Promise<Response> {
  const file = form?.get('file')
  if (!(file instanceof File))
    return Response.json({ error: { message: 'no file' } }, { status: 400 })
  return Response.json({
    id: 'file-1',
    object: 'file',
    bytes: file.size,
    created_at: CREATED,
    filename: file.name,
    purpose: form?.get('purpose'),
    status: 'processed',
    sha256: Bun.SHA256.hash(await file.arrayBuffer(), 'hex'),
  })
}
