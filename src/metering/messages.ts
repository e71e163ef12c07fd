/**
 * Reads what language model APIs report in the messages of a WebSocket: OpenAI's Realtime and Responses (`response.done`,
 * `response.completed`, transcriptions) and all who speak like it, and Gemini Live. One response or turn may be reported more
 * than once: what was told of it before is not told again. Pure; takes any message at all and never throws.
 */
import type { UsageParts } from '../domain/call.ts'
import { picker } from '../lib/json/member.ts'
import type { Usage } from './usage.ts'

const MODEL = { model: true } as const

/** All that is looked for in a message, of which most is something else. */
const pick = picker({
  item_id: true,
  content_index: true,
  usage: true,
  usageMetadata: true,
  toolCall: {},
  serverContent: { turnComplete: true },
  response: { id: true, model: true, usage: true },
  session: {
    ...MODEL,
    input_audio_transcription: MODEL,
    audio: { input: { transcription: MODEL } },
  },
})

/** A message without any of them is not parsed: it tells nothing of what was used. */
const SIGNS = ['usage', '"session.', 'turnComplete', 'toolCall']

/** Responses that are remembered; those before them are over. */
const WORKS_MAX = 64
const MODEL_CHARS_MAX = 256
const ID_CHARS_MAX = 256

/** No call reads or writes a trillion tokens; whatever is added up of such numbers stays exact. */
const TOKENS_MAX = 1_000_000_000_000

export type MessageReading = {
  /** What a message of the upstream reports beyond what is known; null if it reports nothing new. */
  take(message: string | Uint8Array): Usage | null
}

/** `model` is the one that was asked for; null if it was not named. */
export function createMessageReading(model: string | null): MessageReading {
  const works = new Map<string, Usage>()
  let ofSession = model
  let ofTranscripts: string | null = null

  function noteModels(session: unknown): void {
    ofSession = nameOf(session, 'model') ?? ofSession
    const transcription =
      own(session, 'input_audio_transcription') ??
      own(own(own(session, 'audio'), 'input'), 'transcription')
    ofTranscripts = nameOf(transcription, 'model') ?? ofTranscripts
  }

  /** What is new of a response or a turn. */
  function growth(work: string, usage: Usage): Usage {
    const before = works.get(work)
    works.delete(work)
    works.set(work, before ? mostOf(before, usage) : usage)
    const [oldest] = works.keys()
    if (works.size > WORKS_MAX && oldest !== undefined) works.delete(oldest)
    return before ? lessOf(usage, before) : usage
  }

  return {
    take(message) {
      const text = textWithSigns(message)
      const event = text === null ? undefined : pick(text)
      if (event === undefined) return null
      noteModels(own(event, 'session'))
      const found = readOpenAi(event) ?? readGemini(event)
      const named = found?.isTranscript ? (ofTranscripts ?? ofSession) : ofSession
      const usage = found && { ...found.usage, model: found.usage.model ?? named }
      const fresh = usage && found?.work ? growth(found.work, usage) : usage
      if (endsTurn(event)) works.delete(TURN)
      return fresh && isAnything(fresh) ? fresh : null
    },
  }
}

function textWithSigns(message: string | Uint8Array): string | null {
  if (typeof message === 'string') return SIGNS.some((s) => message.includes(s)) ? message : null
  const bytes = Buffer.from(message.buffer, message.byteOffset, message.byteLength)
  return SIGNS.some((sign) => bytes.includes(sign)) ? bytes.toString('utf8') : null
}

type Found = {
  /** Names the response or the turn; null if each such report stands for itself. */
  readonly work: string | null
  readonly usage: Usage
  readonly isTranscript: boolean
}

/** https://platform.openai.com/docs/api-reference/realtime-server-events, read in November 2026. */
function readOpenAi(event: unknown): Found | null {
  const response = own(event, 'response')
  const ofResponse = own(response, 'usage')
  if (isObject(ofResponse)) {
    const usage = { ...tokensOf(ofResponse), model: nameOf(response, 'model') }
    return { work: idOf(own(response, 'id')), usage, isTranscript: false }
  }
  const usage = own(event, 'usage')
  if (!isObject(usage)) return null
  const item = idOf(own(event, 'item_id'))
  const work = item === null ? null : `${item} ${count(own(event, 'content_index'))}`
  return { work, usage: tokensOf(usage), isTranscript: item !== null }
}

function tokensOf(usage: unknown): Usage {
  const input = count(own(usage, 'input_tokens') ?? own(usage, 'prompt_tokens'))
  const said = count(own(usage, 'output_tokens') ?? own(usage, 'completion_tokens'))
  const output = Math.max(said, count(own(usage, 'total_tokens')) - input)
  const read = own(usage, 'input_token_details') ?? own(usage, 'input_tokens_details')
  const written = own(usage, 'output_token_details') ?? own(usage, 'output_tokens_details')
  return usageOf({
    ...{ input, output, cached: count(own(read, 'cached_tokens')) },
    reasoning: count(own(written, 'reasoning_tokens')),
    parts: {
      audioInput: count(own(read, 'audio_tokens')),
      audioOutput: count(own(written, 'audio_tokens')),
      imageInput: count(own(read, 'image_tokens')),
      imageOutput: count(own(written, 'image_tokens')),
      seconds: count(own(usage, 'seconds')),
    },
  })
}

/** The turn that goes on. */
const TURN = 'turn'

/**
 * https://ai.google.dev/api/live#usagemetadata, read in November 2026. The numbers are those of a turn, with all that the
 * session holds as its input, and grow until the turn is over.
 */
function readGemini(event: unknown): Found | null {
  const usage = own(event, 'usageMetadata')
  if (!isObject(usage)) return null
  const input = count(own(usage, 'promptTokenCount')) + count(own(usage, 'toolUsePromptTokenCount'))
  const reasoning = count(own(usage, 'thoughtsTokenCount'))
  const shown = count(own(usage, 'responseTokenCount') ?? own(usage, 'candidatesTokenCount'))
  const output = Math.max(shown + reasoning, count(own(usage, 'totalTokenCount')) - input)
  const read = byModality(own(usage, 'promptTokensDetails'))
  const written = byModality(own(usage, 'responseTokensDetails'))
  const parts = {
    ...{ audioInput: read('AUDIO'), imageInput: read('IMAGE') + read('VIDEO') },
    ...{ audioOutput: written('AUDIO'), imageOutput: written('IMAGE') },
  }
  const cached = count(own(usage, 'cachedContentTokenCount'))
  const told = usageOf({ input, output, cached, reasoning, parts })
  return { work: TURN, usage: told, isTranscript: false }
}

function byModality(details: unknown): (modality: string) => number {
  const list: unknown[] = Array.isArray(details) ? details : []
  return (modality) =>
    list
      .filter((one) => own(one, 'modality') === modality)
      .reduce<number>((sum, one) => sum + count(own(one, 'tokenCount')), 0)
}

/** Whatever is reported after it is reported of the next turn. A tool is called by a generation that has ended. */
function endsTurn(event: unknown): boolean {
  const content = own(event, 'serverContent')
  return own(content, 'turnComplete') === true || isObject(own(event, 'toolCall'))
}

type Counts = { readonly [part in keyof UsageParts]: number }

function usageOf({ input, output, cached, reasoning, parts }: Omit<Usage, 'model'>): Usage {
  return {
    ...{ model: null, input, output },
    ...{ cached: Math.min(cached, input), reasoning: Math.min(reasoning, output) },
    ...(parts && { parts: known(parts) }),
  }
}

/** Without those that are zero. */
function known(parts: UsageParts): Counts {
  return Object.fromEntries(Object.entries(parts).filter(([, n]) => n !== undefined && n > 0))
}

function mostOf(one: Usage, other: Usage): Usage {
  return combine(one, other, Math.max)
}

function lessOf(usage: Usage, before: Usage): Usage {
  return combine(usage, before, (now, then) => Math.max(0, now - then))
}

function combine(one: Usage, other: Usage, by: (one: number, other: number) => number): Usage {
  const names = Object.keys({ ...one.parts, ...other.parts }) as (keyof UsageParts)[]
  const part = (name: keyof UsageParts) => by(one.parts?.[name] ?? 0, other.parts?.[name] ?? 0)
  const numbers = usageOf({
    input: by(one.input, other.input),
    output: by(one.output, other.output),
    cached: by(one.cached, other.cached),
    reasoning: by(one.reasoning, other.reasoning),
    parts: Object.fromEntries(names.map((name) => [name, part(name)])),
  })
  return { ...numbers, model: one.model }
}

function isAnything({ input, output, parts }: Usage): boolean {
  return input + output > 0 || Object.keys(parts ?? {}).length > 0
}

/** Zero for anything that cannot be a number of tokens. */
function count(value: unknown): number {
  const number = typeof value === 'string' && /^\d{1,13}$/.test(value) ? Number(value) : value
  if (typeof number !== 'number' || !(number > 0)) return 0
  return number <= TOKENS_MAX ? Math.ceil(number) : 0
}

function idOf(value: unknown): string | null {
  return typeof value === 'string' && value.length <= ID_CHARS_MAX ? value : null
}

function nameOf(value: unknown, name: string): string | null {
  const model = own(value, name)
  const isName = typeof model === 'string' && model !== '' && model.length <= MODEL_CHARS_MAX
  return isName ? model.toWellFormed() : null
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null
}

function own(value: unknown, name: string): unknown {
  if (!isObject(value) || !Object.hasOwn(value, name)) return undefined
  return (value as Record<string, unknown>)[name]
}
