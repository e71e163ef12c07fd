/**
 * Reads what a JSON request asks a language model for, and makes the two changes that metering and aliases need. They are
 * spliced into the text: everything else reaches the upstream as the client wrote it (docs/adr/0008). Pure; never throws.
 */
import type { Member } from '../lib/json/member.ts'
import { isNamed } from '../lib/json/name.ts'
import { scan } from '../lib/json/scan.ts'
import { count, own } from './report.ts'
import { LENGTHS, readMembers } from './request-members.ts'

/** Tokens that a call is expected to read and to write, and the most that it allows to be written; absent if it does not say. */
export type Estimate = {
  readonly input: number
  readonly output: number
  readonly allowed?: number
}

export type Prepared = {
  /** What to send: the very text if nothing had to be changed. */
  readonly body: string
  /** The model as the client names it. */
  readonly model: string | null
  /** Every model that the body names, for a scope to check: `model`, and OpenRouter's `models` to fall back to. */
  readonly models: readonly string[]
  /** The model as the upstream is asked for it, by its alias if it has one. */
  readonly upstreamModel: string | null
  readonly stream: boolean
  /** Whether the chunk with the usage was our wish and must not reach the client. */
  readonly hideUsage: boolean
  /**
   * Whether an upstream might read the body otherwise than it was read here. Nothing was changed in it then, and what was
   * read must not be relied on: a scope on models has to refuse the call.
   */
  readonly ambiguous: boolean
  readonly estimate: Estimate
}

/**
 * About four bytes of English make a token in the tokenizers in use. Structure and other scripts take more bytes for one,
 * code fewer; what is wrong with it is put right when the upstream reports.
 */
const BYTES_PER_TOKEN = 4

/** No call reads or writes a trillion tokens; sums of estimates stay exact. */
const ESTIMATE_MAX = 1_000_000_000_000

/** Where OpenAI's `stream_options` are understood; Responses, Anthropic and Ollama report without being asked. */
const REPORTS_IF_ASKED = /(?:^|\/)(?:chat\/)?completions\/?$/
/** What does no work that is reported or paid for: it counts what a call would use, or judges a text. */
const WORKS_FOR_NOTHING = /(?:^|\/)(?:count_tokens|input_tokens|moderations)\/?$/
export function worksForNothing(path: string): boolean {
  return WORKS_FOR_NOTHING.test(path)
}

/** What writes no text. */
const WRITES_NOTHING = /(?:^|\/)embed(?:dings)?\/?$/

export type PrepareOptions = {
  /** The decoded path after the base URL. */
  readonly path: string
  /** Tokens that a call is expected to write if it sets no bound; null where tokens are not metered. */
  readonly outputDefault: number | null
  /** Names that clients use for models, and what the upstream is asked for. */
  readonly aliases: Readonly<Record<string, string>>
}

export function prepareRequest(text: string, options: PrepareOptions): Prepared {
  const { path, outputDefault, aliases } = options
  const { request, member, ambiguous } = readMembers(text)
  const estimate = estimateOf(text, options, request)
  const models = readModels(request)
  const model = models[0] ?? null
  const stream = Boolean(own(request, 'stream'))
  const read = { model, models, upstreamModel: model, stream, estimate }
  if (ambiguous || !areModelsPlain(request)) {
    return { ...read, body: text, hideUsage: false, ambiguous: text.trim() !== '' }
  }

  const alias = model !== null && Object.hasOwn(aliases, model) ? (aliases[model] ?? null) : null
  const named = alias === null ? undefined : member('model')
  const renaming =
    named && alias !== null
      ? [{ start: named.start, end: named.end, text: JSON.stringify(alias) }]
      : []
  const asking =
    outputDefault !== null && stream && REPORTS_IF_ASKED.test(path)
      ? askForUsage(text, member('stream_options'), own(request, 'stream_options'))
      : []
  return {
    ...read,
    body: splice(text, [...renaming, ...asking]),
    upstreamModel: named && alias !== null ? alias : model,
    hideUsage: asking.length > 0,
    ambiguous: false,
  }
}

function readModels(request: object | null): string[] {
  const fallbacks = own(request, 'models')
  return [own(request, 'model'), ...(Array.isArray(fallbacks) ? fallbacks : [])].filter(
    (name) => typeof name === 'string',
  )
}

/** Whether models are named by nothing but strings: what else an upstream makes a name of is anybody's guess. */
function areModelsPlain(request: object | null): boolean {
  const model = own(request, 'model') ?? ''
  const fallbacks = own(request, 'models') ?? []
  return (
    typeof model === 'string' &&
    Array.isArray(fallbacks) &&
    fallbacks.every((name) => typeof name === 'string')
  )
}

function estimateOf(
  text: string,
  { path, outputDefault }: PrepareOptions,
  request: object | null,
): Estimate {
  // A call without a body, such as one that cancels another, asks for nothing.
  if (outputDefault === null || text.trim() === '' || worksForNothing(path))
    return { input: 0, output: 0, allowed: 0 }
  const input = Math.ceil(Buffer.byteLength(text) / BYTES_PER_TOKEN)
  if (WRITES_NOTHING.test(path)) return { input, output: 0, allowed: 0 }
  const lengths = [
    ...LENGTHS.map((name) => own(request, name)),
    own(own(request, 'options'), 'num_predict'),
  ]
    .map(count)
    .filter((length) => length !== undefined)
  const length = lengths.length > 0 ? Math.max(...lengths) : outputDefault
  const answers = Math.max(1, count(own(request, 'n')) ?? 1)
  const output = Math.min(length * answers, ESTIMATE_MAX)
  return lengths.length > 0 ? { input, output, allowed: output } : { input, output }
}

type Edit = { readonly start: number; readonly end: number; readonly text: string }

/** What makes the upstream report; nothing if the client has asked for it, or for something that cannot be. */
function askForUsage(text: string, member: Member | undefined, options: unknown): Edit[] {
  const asked = '"include_usage":true'
  if (!member) {
    const start = text.indexOf('{') + 1
    return [{ start, end: start, text: `"stream_options":{${asked}},` }]
  }
  const { start, end } = member
  if (options === null) return [{ start, end, text: `{${asked}}` }]
  if (typeof options !== 'object' || Array.isArray(options) || own(options, 'include_usage'))
    return []
  const inner = text.slice(start, end)
  const refusals: Edit[] = []
  scan(inner, (from, to, _, nameStart, nameEnd) => {
    if (isNamed(inner, nameStart, nameEnd, 'include_usage'))
      refusals.push({ start: start + from, end: start + to, text: 'true' })
  })
  if (refusals.length > 0) return refusals
  const comma = Object.keys(options ?? {}).length > 0 ? ',' : ''
  return [{ start: start + 1, end: start + 1, text: asked + comma }]
}

function splice(text: string, edits: readonly Edit[]): string {
  return edits
    .toSorted((a, b) => b.start - a.start)
    .reduce((done, edit) => done.slice(0, edit.start) + edit.text + done.slice(edit.end), text)
}
