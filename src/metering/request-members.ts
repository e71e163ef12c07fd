/**
 * Reads what matters of the text of a JSON request, and nothing else of it: no text takes long, and one that parsers could
 * read in two ways is found out. Pure; never throws.
 */
import { finder, type Member, VALUES_MAX } from '../lib/json/member.ts'
import { own } from './report.ts'

export const LENGTHS = ['max_tokens', 'max_completion_tokens', 'max_output_tokens']
const OTHERS = ['model', 'models', 'stream', 'stream_options', 'n', 'options']
const NAMES = [...LENGTHS, ...OTHERS]
const findMembers = finder(NAMES)
/** Far more than the names of models and the options of a request take. */
const CHARS_MAX = 64 * 1024

export type Read = {
  /** What matters of the request, as JSON.parse would give it. */
  readonly request: object | null
  /** Where a member stands in the text. */
  readonly member: (name: string) => Member | undefined
  readonly ambiguous: boolean
}

const UNREADABLE: Read = { request: null, member: () => undefined, ambiguous: true }

/**
 * Of twins some parsers take the first and others the last, and Go's, which Ollama uses, takes `Model` for `model`. No
 * honest client writes either, or more of what matters than is read.
 */
export function readExactly(text: string): Read {
  const read = findMembers(text)
  if (!read) return UNREADABLE
  const found = [...read.members]
  const sum = (size: (member: Member) => number) =>
    found.reduce((total, [, member]) => total + size(member), 0)
  if (sum(({ values }) => values) > VALUES_MAX || sum(lengthOf) > CHARS_MAX) return UNREADABLE
  const request = Object.fromEntries(
    found.map(([name, { start, end }]) => [name, JSON.parse(text.slice(start, end))]),
  )
  return { request, member: (name) => read.members.get(name), ambiguous: read.ambiguous }
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
  const request: Record<string, unknown> = {}
  for (const name of seen) {
    const value = own(parsed, name)
    if (value === undefined) continue
    if (typeof value === 'object' && value !== null) return null
    if (typeof value === 'string' && value.length > PLAIN_CHARS_MAX) return null
    if (typeof value === 'number' && !Number.isSafeInteger(value)) return null
    request[name] = value
  }
  return { request, member: (name) => findMembers(text)?.members.get(name), ambiguous: false }
}
