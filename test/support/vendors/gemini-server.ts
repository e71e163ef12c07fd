/** What clients of the Gemini API need of it, in the form in which Google answers (ai.google.dev/api/generate-content). */
import { type ApiServer, type Asked, eventStream, type Route, startApi } from '../api-server.ts'

export const GEMINI_CREDENTIAL = 'AIzaSy-operator-0a1b2c3d4e5f6g7h'
export const MODEL = 'gemini-2.5-flash'
/** A stream of this model stops half-way and stays silent. */
export const STALLING = 'gemini-stalling'

/** The prompt holds what was cached; the candidates leave the thought out. */
const USAGE = {
  promptTokenCount: 220,
  cachedContentTokenCount: 100,
  candidatesTokenCount: 15,
  thoughtsTokenCount: 85,
  totalTokenCount: 320,
  promptTokensDetails: [{ modality: 'TEXT', tokenCount: 220 }],
}
export const USED = { input: 220, output: 100, cached: 100, reasoning: 85 }
export const WORDS = ['Zu ', '„你好“: ', '🌍! ', 'Und "usageMetadata":{ ', 'ist nur ein Wort.']

export function startGemini(): ApiServer {
  const routes: Record<string, Route> = {}
  // `@google/genai` 3 calls the first, and `@ai-sdk/google` the second.
  for (const version of ['v1', 'v1beta']) {
    for (const model of [MODEL, STALLING]) {
      const path = `POST /${version}/models/${model}`
      routes[`${path}:generateContent`] = (asked) => Response.json(answer(partsFor(asked), USAGE))
      routes[`${path}:streamGenerateContent`] = (asked) => stream(asked, model === STALLING)
      routes[`${path}:countTokens`] = () => Response.json({ totalTokens: 220 })
    }
  }
  return startApi({
    routes,
    isOperator: (headers) => headers.get('x-goog-api-key') === GEMINI_CREDENTIAL,
    error: (code, message) => ({
      error: { code, message, status: code === 401 ? 'UNAUTHENTICATED' : 'NOT_FOUND' },
    }),
  })
}

/** A call of a tool if there is one and nobody has answered it yet. */
function partsFor({ json }: Asked): object[] {
  const contents = json['contents'] as { parts: object[] }[]
  const isAnswered = contents.some(({ parts }) => parts.some((part) => 'functionResponse' in part))
  if (json['tools'] && !isAnswered)
    return [{ functionCall: { name: 'weather', args: { city: 'Zürich' } } }]
  return [{ text: WORDS.join('') }]
}

function answer(parts: object[], usageMetadata: object, finishReason: string | null = 'STOP') {
  const content = { parts, role: 'model' }
  return {
    candidates: [{ content, ...(finishReason && { finishReason }), index: 0 }],
    usageMetadata,
    modelVersion: MODEL,
    responseId: 'r-1',
  }
}

function stream(asked: Asked, stalls: boolean): Response {
  const parts = partsFor(asked)
  const isText = 'text' in (parts[0] ?? {})
  const pieces = isText ? WORDS.map((text) => [{ text }]) : [parts]
  const started = { promptTokenCount: 220, cachedContentTokenCount: 100, totalTokenCount: 220 }
  const answers = pieces.map((piece, at) =>
    at === pieces.length - 1 ? answer(piece, USAGE) : answer(piece, started, null),
  )
  return eventStream(
    answers.map((one) => `data: ${JSON.stringify(one)}\r\n\r\n`),
    stalls,
  )
}
