/**
 * The `usage` object of OpenAI and of all who speak like it, wherever it stands and however it is spelled. Each number
 * counts by its largest spelling, so that zeros in one family take nothing from the other. Pure.
 */
import { ITEMS } from '../../../lib/json/member.ts'
import { isObject, own } from '../../../lib/json/object.ts'
import { reportedCount } from '../../count.ts'
import { DEEPSEEK } from '../compatible/deepseek.ts'
import { GROQ } from '../compatible/groq.ts'
import { MISTRAL } from '../compatible/mistral.ts'
import { MOONSHOT } from '../compatible/moonshot.ts'
import { RELAYS } from '../compatible/relays.ts'
import { allAt, type Dialect, less, type Path, sumOf } from '../dialect.ts'
import { isNothing, merge, NOTHING, type Said, sum } from '../said.ts'
import { settle } from '../settle.ts'
import { OPENAI, type Spelled, type Spelling } from './spelling.ts'

const SPELLINGS: readonly Spelling[] = [OPENAI, DEEPSEEK, GROQ, MISTRAL, MOONSHOT, RELAYS]
const PLACES = SPELLINGS.flatMap(({ places = [] }) => places)

/** What the member of a name counts, and what its own members do. */
type Names = Map<string, { counts?: Spelled; inner?: Names }>

const NAMES: Names = new Map()
for (const { places: _, ...spelled } of SPELLINGS)
  for (const [counts, paths] of Object.entries(spelled))
    for (const path of paths) enter(NAMES, path, counts as Spelled)

function enter(names: Names, [name = '', ...rest]: Path, counts: Spelled): void {
  const entry = names.get(name) ?? {}
  names.set(name, entry)
  if (rest.length === 0) {
    entry.counts = counts
    return
  }
  entry.inner ??= new Map()
  enter(entry.inner, rest, counts)
}

type Counts = { [count in Spelled]?: number }

/** Looks at each member once: most objects have ten of the hundred that there could be. */
function collect(object: Record<string, unknown>, names: Names, found: Counts): Counts {
  for (const name of Object.keys(object)) {
    const entry = names.get(name)
    if (!entry) continue
    const value = object[name]
    if (entry.inner && isObject(value)) collect(value, entry.inner, found)
    const count = entry.counts && reportedCount(value)
    if (entry.counts && count !== undefined)
      found[entry.counts] = Math.max(found[entry.counts] ?? 0, count)
  }
  return found
}

/** Null if it says nothing that is known. */
export function readUsageObject(usage: unknown): Said | null {
  // Most of what is asked for it has none; Gemini's interactions count by names of their own.
  if (!isObject(usage) || Object.hasOwn(usage, 'total_input_tokens')) return null
  const found = collect(usage, NAMES, {})
  const { output, total, cached, written, writtenLong, reasoning, audioOutput, imageOutput } = found
  const said = {
    ...settle({ input: inputOf(found), output, total, cached, written, reasoning }),
    writtenLong,
    audioInput: less(found.audioInput, found.audioCached),
    audioOutput,
    imageInput: less(found.imageInput, found.imageCached),
    imageOutput,
    seconds: found.seconds,
  }
  return isNothing(said) ? null : said
}

function inputOf({ input, tools, cached, uncached }: Counts): number | undefined {
  const inParts = uncached === undefined || cached === undefined ? undefined : sum(uncached, cached)
  const whole = input === undefined ? undefined : sumOf(input, tools)
  return whole === undefined ? inParts : Math.max(whole, inParts ?? 0)
}

export const USAGE: Dialect = {
  shape: {
    usage: true,
    x_groq: { usage: true },
    choices: { [ITEMS]: { usage: true } },
  },
  members: ['usage', 'x_groq', 'choices'],
  signs: ['usage'],
  read(answer) {
    let all = NOTHING
    for (const place of PLACES) {
      const [name = '', inner] = place
      const first = own(answer, name)
      // Nearly all stand under one name, and nothing under the others.
      if (first === undefined || first === null) continue
      if (inner === undefined) all = merge(all, readOne(answer, first))
      else for (const usage of allAt(answer, place)) all = merge(all, readOne(answer, usage))
    }
    return all
  },
}

function readOne(answer: unknown, usage: unknown): Said {
  const said = readUsageObject(usage)
  if (said === null) return NOTHING
  return isEmbedding(answer, usage, said) ? { ...said, output: 0 } : said
}

/** Embeddings write nothing, and do not say so; an answer with choices has yet to say what it has written. */
function isEmbedding(answer: unknown, usage: unknown, said: Said): boolean {
  const isHalf = said.input !== undefined && said.output === undefined
  return (
    isHalf &&
    own(answer, 'choices') === undefined &&
    reportedCount(own(usage, 'prompt_tokens')) !== undefined
  )
}
