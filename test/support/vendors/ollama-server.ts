/** What clients of Ollama need of it, in the form in which it answers (docs.ollama.com/api): behind somebody's bearer, or bare. */
import { type ApiServer, type Asked, eventStream, startApi } from '../api-server.ts'

export const OLLAMA_CREDENTIAL = 'ollama-operator-0a1b2c3d4e5f6g7h'
export const MODEL = 'llama3.2'
/** A stream of this model stops half-way and stays silent. */
export const STALLING = 'llama-stalling'

export const USED = { input: 26, output: 298 }
export const WORDS = ['Zu ', '„你好“: ', '🌍! ', 'Und "eval_count":7 ', 'ist nur ein Wort.']

const COUNTS = {
  done: true,
  done_reason: 'stop',
  total_duration: 5_043_500_667,
  load_duration: 5_025_959,
  prompt_eval_count: 26,
  prompt_eval_duration: 325_953_000,
  eval_count: 298,
  eval_duration: 4_709_213_000,
}

/** Without a credential it takes no call that carries one. */
export function startOllama(credential: string | null = OLLAMA_CREDENTIAL): ApiServer {
  return startApi({
    routes: {
      'POST /api/chat': (asked) => lines(asked, (text) => ({ message: messageFor(asked, text) })),
      'POST /api/generate': (asked) => lines(asked, (response) => ({ response })),
      'POST /api/embed': ({ json }) =>
        Response.json({ model: json['model'], embeddings: [[0.1]], prompt_eval_count: 8 }),
      'GET /api/tags': () => Response.json({ models: [{ name: MODEL, model: MODEL, size: 1 }] }),
      'POST /api/show': () => Response.json({ details: { family: 'llama' }, model_info: {} }),
    },
    isOperator: (headers) =>
      headers.get('authorization') === (credential && `Bearer ${credential}`),
    error: (_, message) => ({ error: message }),
  })
}

function messageFor({ json }: Asked, content: string) {
  const messages = json['messages'] as { role: string }[]
  if (!json['tools'] || messages.at(-1)?.role === 'tool') return { role: 'assistant', content }
  const call = { function: { name: 'weather', arguments: { city: 'Zürich' } } }
  return { role: 'assistant', content: '', ...(content !== '' && { tool_calls: [call] }) }
}

/** Whole only if the client says so; JSON lines otherwise. */
function lines({ json }: Asked, part: (text: string) => object): Response {
  const base = { model: json['model'], created_at: '2026-01-01T00:00:00.000000Z' }
  if (json['stream'] === false)
    return Response.json({ ...base, ...part(WORDS.join('')), ...COUNTS })
  const words = json['tools'] ? [WORDS.join('')] : WORDS
  const all = [
    ...words.map((word) => ({ ...base, ...part(word), done: false })),
    { ...base, ...part(''), ...COUNTS },
  ]
  const stream = eventStream(
    all.map((line) => `${JSON.stringify(line)}\n`),
    json['model'] === STALLING,
  )
  return new Response(stream.body, { headers: { 'content-type': 'application/x-ndjson' } })
}
