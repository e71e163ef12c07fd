/**
 * Reads what matters of the text of a JSON request, and nothing else of it: no text takes long, and one that parsers could
 * read in two ways is found out. Pure; never throws.
 */
import { finder, type Member, picker, type Shape, VALUES_MAX } from '../lib/json/member.ts'
import { own } from '../lib/json/object.ts'
import { scan } from '../lib/json/scan.ts'
import { ANSWERS, type Asked, LENGTHS, NESTED, THOUGHT } from './request/estimate.ts'

/** Of whatever length: only how many texts it holds matters. */
const PROMPT = 'prompt'
/** Each tool that a request offers has one of these: few stand where they matter. */
const PARAMETERS = 'parameters'
/** The members that hold others which matter. */
const AROUND = [...new Set(NESTED.map(([outer]) => outer))]
const NAMES = [
  ...['model', 'models', 'stream', 'stream_options', THOUGHT],
  ...[...LENGTHS, ...ANSWERS, ...AROUND].filter((name) => name !== PARAMETERS),
]
/** The letters of another case are found of the letters that are small here. */
const findMembers = finder([...NAMES, PROMPT, PARAMETERS])
/** What holds much beside what matters, such as the schema of an answer. */
const PICKERS = new Map(
  AROUND.filter((name) => name !== 'options').map((name) => [name, picker(shapeOf(name))]),
)

function shapeOf(outer: string): Shape {
  const inner = NESTED.filter(([name]) => name === outer).map(([, name]) => [name, true])
  return { ...Object.fromEntries(inner), thinkingConfig: { thinkingBudget: true } }
}

/** Far more than the names of models and the options of a request take. */
const CHARS_MAX = 64 * 1024

export type Read = Asked & {
  /** Where a member stands in the text. */
  readonly member: (name: string) => Member | undefined
  readonly ambiguous: boolean
}

const UNREADABLE: Read = {
  request: null,
  prompts: 1,
  member: () => undefined,
  ambiguous: true,
}

/**
 * Of twins some parsers take the first and others the last, and Go's, which Ollama uses, takes `Model` for `model`. No
 * honest client writes either, or more of what matters than is read.
 */
export function readExactly(text: string): Read {
  const read = findMembers(text)
  if (!read) return UNREADABLE
  const found = [...read.members].filter(([name]) => name !== PROMPT && !PICKERS.has(name))
  const sum = (size: (member: Member) => number) =>
    found.reduce((total, [, member]) => total + size(member), 0)
  if (sum(({ values }) => values) > VALUES_MAX || sum(lengthOf) > CHARS_MAX) return UNREADABLE
  const request: Record<string, unknown> = {}
  for (const [name, { start, end }] of found) request[name] = JSON.parse(text.slice(start, end))
  for (const [name, pick] of PICKERS) {
    const member = read.members.get(name)
    if (member) request[name] = pick(text.slice(member.start, member.end))
  }
  const prompt = read.members.get(PROMPT)
  return {
    request,
    prompts: prompt ? promptsIn(text.slice(prompt.start, prompt.end)) : 1,
    member: (name) => read.members.get(name),
    ambiguous: read.ambiguous,
  }
}

/** A list of texts, or of texts that are lists of tokens, has an answer for each; a list of tokens is one text. */
function promptsIn(json: string): number {
  if (!json.startsWith('[')) return 1
  let prompts = 0
  scan(json, (start) => {
    if (!/[\d-]/.test(json[start] ?? '')) prompts++
  })
  return Math.max(1, prompts)
}

function lengthOf({ start, end }: Member): number {
  return end - start
}

export function readMembers(text: string): Read {
  return readPlainly(text) ?? readExactly(text)
}

/** Whatever looks like the name of a member that matters, in any case. */
const NAMED = new RegExp(`"(${NAMES.join('|')})"\\s*:`, 'gi')

/** What may be a letter of such a name in another spelling: an escape, or a character that another case turns into ASCII. */
const DISGUISED = /\\u|[\u00df\u0131\u017f\u212a\ufb00-\ufb06]/

/** A longer text would leave much behind for the garbage collector. */
const TEXT_CHARS_MAX = 256 * 1024

/** Longer than names of models are. */
const PLAIN_CHARS_MAX = 1000

/**
 * By the engine's own parser, which is far faster. Null where that might not say the same as the exact way: if a name stands
 * twice anywhere, in another spelling, or with a value that is long.
 */
function readPlainly(text: string): Read | null {
  if (text.length > TEXT_CHARS_MAX || DISGUISED.test(text)) return null
  const seen = new Set<string>()
  for (const [, name = ''] of text.matchAll(NAMED)) {
    if (seen.has(name) || !NAMES.includes(name)) return null
    seen.add(name)
  }
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch {
    return null
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) return null
  if (own(parsed, PARAMETERS) !== undefined || !isPlainPrompt(text, own(parsed, PROMPT)))
    return null
  const request: Record<string, unknown> = {}
  for (const name of seen) {
    const value = own(parsed, name)
    if (value === undefined) continue
    if (typeof value === 'object' && value !== null) return null
    if (typeof value === 'string' && value.length > PLAIN_CHARS_MAX) return null
    if (typeof value === 'number' && !Number.isSafeInteger(value)) return null
    request[name] = value
  }
  const member = (name: string) => findMembers(text)?.members.get(name)
  return { request, prompts: 1, member, ambiguous: false }
}

/** Whether it is no list, and the only one: tools have parameters of this name, too. */
function isPlainPrompt(text: string, prompt: unknown): boolean {
  if (prompt === undefined) return true
  const name = `"${PROMPT}"`
  return !Array.isArray(prompt) && text.indexOf(name) === text.lastIndexOf(name)
}
