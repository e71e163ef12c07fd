/**
 * Cohere v1 and v2, and who reranks as it does (SiliconFlow): what is billed, in `usage` or `meta`, of the whole answer or
 * of a stream's last event. What was counted beside it (`tokens`) holds text that Cohere has added and does not bill.
 * Searches, classifications, images and pages are no tokens.
 *
 * https://docs.cohere.com/reference/chat, …/reference/embed, …/reference/rerank, as typed by cohere-ai 8.1.0 (2026-11-28)
 */
import { isObject, own } from '../../../lib/json/object.ts'
import { at, countAt, type Dialect } from '../dialect.ts'
import { NO_TOKENS, NOTHING, type Said, sum } from '../said.ts'

/** In an answer, in `message-end` of v2 and in `stream-end` of v1. */
const PLACES = [['usage'], ['meta'], ['delta', 'usage'], ['response', 'meta']]

const BILLED = { billed_units: true, tokens: true, cached_tokens: true } as const

export const COHERE: Dialect = {
  shape: {
    usage: true,
    meta: BILLED,
    delta: { usage: true },
    response: { meta: BILLED },
  },
  members: ['usage', 'meta', 'delta', 'response'],
  usageMembers: ['billed_units', 'tokens'],
  signs: ['billed_units', 'usage'],
  read(answer) {
    for (const place of PLACES) {
      const said = readUnits(at(answer, place))
      if (said) return said
    }
    return NOTHING
  },
}

function readUnits(report: unknown): Said | null {
  if (!isObject(report)) return null
  const billed = own(report, 'billed_units')
  const counted = own(report, 'tokens')
  // Some who copy the form fill it with zeros.
  const isBilled = isObject(billed) && Object.keys(billed).some((name) => unitsAt(billed, name) > 0)
  if (!isBilled && hasTokens(counted)) return readTokens(counted, report)
  if (hasTokens(billed)) return readTokens(billed, report)
  const isCounted =
    isObject(billed) && Object.keys(billed).some((name) => unitsAt(billed, name) >= 0)
  return isCounted ? NO_TOKENS : null
}

function hasTokens(units: unknown): boolean {
  return ['input_tokens', 'output_tokens', 'image_tokens'].some(
    (name) => countAt(units, [name]) !== undefined,
  )
}

function unitsAt(units: unknown, name: string): number {
  return countAt(units, [name]) ?? -1
}

/** Embeddings and reranking write nothing, and a half that is left out is zero. */
function readTokens(units: unknown, report: unknown): Said {
  const images = countAt(units, ['image_tokens'])
  return {
    input: sum(countAt(units, ['input_tokens']), images),
    output: countAt(units, ['output_tokens']) ?? 0,
    cached: countAt(report, ['cached_tokens']),
    imageInput: images,
  }
}
