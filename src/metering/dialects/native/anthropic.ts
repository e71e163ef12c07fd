/**
 * Anthropic's messages. The input leaves out what was written to the cache or read from it; both are added. A stream says
 * in `message_start` what was read, with a placeholder for the output, and in `message_delta` how much there is by now:
 * what a delta leaves out, or says is zero, stands as the start has said it. `iterations` of compaction, of an advisor and
 * of a fallback are outside of the numbers at the top. `count_tokens` answers with `input_tokens` alone, outside of any
 * `usage`, which is no report of work. Each line of a batch's results counts by its `custom_id`.
 *
 * https://platform.claude.com/docs/en/api/messages, …/build-with-claude/prompt-caching, …/build-with-claude/compaction,
 * …/api/retrieving-message-batch-results, as typed by @anthropic-ai/sdk 1.12.0 (2026-11-28)
 */
import { isObject, own } from '../../../lib/json/object.ts'
import { at, countAt, type Dialect, items, nameOf, sumOf } from '../dialect.ts'
import { isNothing, NOTHING, type Said } from '../said.ts'

/** Members of which one is there whenever it speaks of the cache. */
const SPEAKS = [
  'cache_read_input_tokens',
  'cache_creation_input_tokens',
  'cache_creation',
  'iterations',
]

export const ANTHROPIC: Dialect = {
  shape: {
    type: true,
    usage: true,
    message: { usage: true },
    custom_id: true,
    result: { message: { usage: true } },
  },
  members: ['usage', 'message', 'custom_id'],
  usageMembers: SPEAKS,
  signs: ['usage'],
  read(answer, before) {
    const started = own(own(answer, 'message'), 'usage')
    if (isObject(started)) {
      const { output: _, ...read } = readMessage(started, NOTHING)
      return isNothing(read) ? NOTHING : read
    }
    const usage = own(answer, 'usage')
    const isDelta = own(answer, 'type') === 'message_delta'
    if (!isObject(usage) || !(isDelta || leavesOutCache(usage))) return NOTHING
    const said = readMessage(usage, isDelta ? before : NOTHING)
    return isNothing(said) ? NOTHING : said
  },
  piece(answer) {
    const name = nameOf(own(answer, 'custom_id'))
    const usage = at(answer, ['result', 'message', 'usage'])
    if (name === null || !isObject(usage)) return null
    return { name, said: readMessage(usage, NOTHING) }
  },
}

/** Whether it speaks of the cache as Anthropic does, not as relays do who keep these names in OpenAI's form. */
function leavesOutCache(usage: Record<string, unknown>): boolean {
  const speaks = SPEAKS.some((name) => (own(usage, name) ?? null) !== null)
  const isOpenAi = isObject(own(usage, 'input_tokens_details'))
  const prompt = countAt(usage, ['prompt_tokens']) ?? 0
  const input = countAt(usage, ['input_tokens']) ?? 0
  return speaks && !isOpenAi && (prompt === 0 || (input !== 0 && input !== prompt))
}

function readMessage(usage: Record<string, unknown>, before: Said): Said {
  const top = readCounts(usage, before)
  const all = items(own(usage, 'iterations')).map((one) => readCounts(one, NOTHING))
  if (all.length === 0) return top
  const larger = (of: keyof Said) => {
    const inAll = sumOf(...all.map((one) => one[of]))
    return inAll === undefined ? top[of] : Math.max(inAll, top[of] ?? 0)
  }
  return {
    input: larger('input'),
    output: larger('output'),
    cached: larger('cached'),
    reasoning: top.reasoning,
    written: larger('written'),
    writtenLong: larger('writtenLong'),
  }
}

function readCounts(usage: unknown, before: Said): Said {
  const split = own(usage, 'cache_creation')
  const [short, long] = [
    countAt(split, ['ephemeral_5m_input_tokens']),
    countAt(split, ['ephemeral_1h_input_tokens']),
  ]
  const whole = countAt(usage, ['cache_creation_input_tokens'])
  const inSplit = sumOf(short, long)
  const written = whole === undefined ? inSplit : Math.max(whole, inSplit ?? 0)
  const cached = countAt(usage, ['cache_read_input_tokens'])
  const fresh = countAt(usage, ['input_tokens'])
  return {
    input: inputOf(fresh, cached, written, before),
    output: countAt(usage, ['output_tokens']),
    cached,
    reasoning: countAt(usage, ['output_tokens_details', 'thinking_tokens']),
    written,
    writtenLong: long,
  }
}

/** What is not said, or said to be zero, is what was said before. */
function inputOf(
  fresh: number | undefined,
  cached: number | undefined,
  written: number | undefined,
  before: Said,
): number | undefined {
  // A relay that repeats the whole of it.
  if (fresh !== undefined && fresh === before.input) return fresh
  const freshBefore =
    before.input === undefined
      ? undefined
      : Math.max(0, before.input - (before.cached ?? 0) - (before.written ?? 0))
  const base = fresh || (freshBefore ?? fresh)
  return base === undefined
    ? undefined
    : sumOf(base, cached || before.cached, written || before.written)
}
