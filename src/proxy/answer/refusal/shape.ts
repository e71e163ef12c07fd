/**
 * Which API a client speaks, so that a refusal comes in the words that its SDK parses. The path says it, or else the
 * headers that only one API has. Asked only of a request that is refused. Pure.
 */
import type { Fields } from '../../headers/fields.ts'
import type { Ingress } from '../../ingress.ts'
import type { Received } from '../../request/client-call.ts'

export const SHAPES = ['openai', 'anthropic', 'gemini', 'ollama', 'cohere'] as const
export type Shape = (typeof SHAPES)[number]

/** The body of an envelope is ours, and so is what is said about it. */
export function shapeOf({ request, fields, ingress }: Received): Shape {
  if (ingress.kind === 'envelope') return 'openai'
  return spokenBy(request.url, ingress) ?? spokenIn(fields) ?? 'openai'
}

/** A mount may be the beginning of the API's path, the name of an upstream is not; else the base URL may have it. */
function spokenBy(url: string, ingress: Ingress): Shape | null {
  if (ingress.kind !== 'upstream') return spokenAt(pathOf(url))
  const { base, rest, upstream } = ingress
  const called = base === upstream.mount ? base + rest : rest
  return spokenAt(called) ?? spokenAt(upstream.baseUrl.pathname + rest)
}

/** Of a request that leads to no upstream. */
export function shapeAt(url: string, fields: Fields): Shape {
  return spokenAt(pathOf(url)) ?? spokenIn(fields) ?? 'openai'
}

/** Of a URL that may be none. */
function pathOf(url: string): string {
  return /^(?:https?:\/\/[^/]*)?([^?#]*)/.exec(url)?.[1] ?? ''
}

/** Whether a request is one to a model's API, wherever that is mounted. */
export function isOfModels(path: string, fields: Fields): boolean {
  return spokenAt(path) !== null || spokenIn(fields) !== null || OF_SEVERAL.test(decoded(path))
}

function spokenAt(path: string): Shape | null {
  const read = decoded(path)
  return PLACES.find(([place]) => place.test(read))?.[1] ?? null
}

function spokenIn(fields: Fields): Shape | null {
  if (fields['anthropic-version'] !== undefined || fields['anthropic-beta'] !== undefined)
    return 'anthropic'
  if (fields['x-goog-api-key'] !== undefined || fields['x-goog-api-client'] !== undefined)
    return 'gemini'
  return fields['x-fern-sdk-name'] === 'cohere-ai' ? 'cohere' : null
}

/** The first that fits. Several APIs speak OpenAI's language at a path of their own, so that its paths come first. */
const PLACES: readonly (readonly [RegExp, Shape])[] = [
  [/\/(?:chat\/completions|completions|responses|embeddings|moderations)(?:\/|$)/, 'openai'],
  [/\/(?:images\/(?:generations|edits|variations)|audio\/\w+|fine_tuning\/\w+)(?:\/|$)/, 'openai'],
  [/\/(?:threads|conversations|realtime|vector_stores|assistants)(?:\/|$)/, 'openai'],
  [/\/v1(?:alpha|beta)\d*\/openai(?:\/|$)/, 'openai'],
  [/\/messages(?:\/(?:count_tokens|batches)(?:\/.*)?)?\/?$|\/v1\/complete\/?$/, 'anthropic'],
  // Claude on Vertex AI.
  [/\/publishers\/anthropic\/models\//, 'anthropic'],
  [/:(?:[a-z]*(?:generate|embed|predict)[a-z]*|(?:count|compute)tokens)\/?$/i, 'gemini'],
  [/\/v1(?:alpha|beta)\d*\//, 'gemini'],
  [/\/api\/(?:chat|generate|embed|embeddings|tags|show|ps|pull|push|create|copy|delete|version|blobs\/.*)\/?$/, 'ollama'],
  [/\/v[12]\/(?:chat|embed|rerank|classify|summarize|tokenize|detokenize|generate|check-api-key|embed-jobs)\/?$/, 'cohere'],
] // biome-ignore format: a table

const OF_SEVERAL = /\/(?:models|files|batches)(?:\/[^/]+)?\/?$/

function decoded(path: string): string {
  try {
    return decodeURIComponent(path)
  } catch {
    return path
  }
}
