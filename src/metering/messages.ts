/**
 * Reads what language model APIs report in the messages of a WebSocket: OpenAI's Realtime and Responses (`response.done`,
 * `response.completed`, transcriptions) and all who speak like it, and Gemini Live. A report means there what it means in an
 * answer. One response or turn may be reported more than once: what was told of it before is not told again. Pure; takes any
 * message at all and never throws.
 */
import { picker } from '../lib/json/member.ts'
import { isObject, own } from '../lib/json/object.ts'
import {
  beyond,
  merge,
  modelOf,
  nameOf,
  namesOf,
  REPORT,
  reportIn,
  type Said,
  UNKNOWN_SIGNS,
  usageOf,
} from './dialects/index.ts'
import { complete, type Usage } from './usage.ts'

const MODEL = { model: true } as const

/** All that is looked for in a message, of which most is something else. */
const pick = picker({
  ...REPORT,
  toolCall: {},
  serverContent: { turnComplete: true },
  session: {
    ...MODEL,
    input_audio_transcription: MODEL,
    audio: { input: { transcription: MODEL } },
  },
})

/** A message without any of them is not parsed: it tells nothing of what was used. */
const SIGNS = ['usage', '"session.', 'turnComplete', 'toolCall', ...UNKNOWN_SIGNS]

/** Responses that are remembered; those before them are over. */
const WORKS_MAX = 64

export type MessageReading = {
  /** What a message of the upstream reports beyond what is known; null if it reports nothing new. */
  take(message: string | Uint8Array): Usage | null
  /**
   * Names of members of a report in the last message that nobody understands, never their values; null if there was none, or
   * if another report of the session was understood.
   */
  unknown(): readonly string[] | null
}

/** `model` is the one that was asked for; null if it was not named. */
export function createMessageReading(model: string | null): MessageReading {
  const works = new Map<string, Said>()
  let ofSession = model ?? undefined
  let ofTranscripts: string | undefined
  let isUnderstood = false
  let unknown: readonly string[] | null = null

  function noteModels(session: unknown): void {
    ofSession = namedBy(session) ?? ofSession
    const transcription =
      own(session, 'input_audio_transcription') ??
      own(own(own(session, 'audio'), 'input'), 'transcription')
    ofTranscripts = namedBy(transcription) ?? ofTranscripts
  }

  /** What is new of a response or a turn. */
  function growth(work: string, said: Said): Said {
    const before = works.get(work)
    works.delete(work)
    works.set(work, before ? merge(before, said) : said)
    const [oldest] = works.keys()
    if (works.size > WORKS_MAX && oldest !== undefined) works.delete(oldest)
    return before ? beyond(said, before) : said
  }

  function reportOf(event: object): Usage | null {
    const report = reportIn(event)
    isUnderstood ||= report !== null
    unknown = isUnderstood ? null : namesOf(event)
    if (report === null) return null
    // The upstream numbers the turns of Gemini nowhere; without a name, each other report stands for itself.
    const work = report.name || (own(event, 'usageMetadata') === undefined ? null : TURN)
    const said = work === null ? report.said : growth(work, report.said)
    const isTranscript = nameOf(own(event, 'item_id')) !== null
    const named = namedBy(event) ?? (isTranscript ? (ofTranscripts ?? ofSession) : ofSession)
    // A report of a socket is final: what it does not name was not used.
    const whole = { ...said, input: said.input ?? 0, output: said.output ?? 0 }
    const usage = complete(usageOf(whole, named))
    return usage && isAnything(usage) ? usage : null
  }

  return {
    take(message) {
      const text = textWithSigns(message)
      const event = text === null ? undefined : pick(text)
      unknown = null
      if (event === undefined) return null
      noteModels(own(event, 'session'))
      const usage = reportOf(event)
      if (endsTurn(event)) works.delete(TURN)
      return usage
    },
    unknown: () => unknown,
  }
}

function textWithSigns(message: string | Uint8Array): string | null {
  if (typeof message === 'string') return SIGNS.some((s) => message.includes(s)) ? message : null
  const bytes = Buffer.from(message.buffer, message.byteOffset, message.byteLength)
  return SIGNS.some((sign) => bytes.includes(sign)) ? bytes.toString('utf8') : null
}

/**
 * The turn that goes on: https://ai.google.dev/api/live#usagemetadata, read in November 2026. The numbers are those of a turn,
 * with all that the session holds as its input, and grow until the turn is over.
 */
const TURN = 'turn'

/** Whatever is reported after it is reported of the next turn. A tool is called by a generation that has ended. */
function endsTurn(event: object): boolean {
  const content = own(event, 'serverContent')
  return own(content, 'turnComplete') === true || isObject(own(event, 'toolCall'))
}

function namedBy(value: unknown): string | undefined {
  return isObject(value) ? modelOf(value) : undefined
}

function isAnything({ input, output, parts }: Usage): boolean {
  return input + output > 0 || parts !== undefined
}
