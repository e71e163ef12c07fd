/**
 * Gemini and Vertex AI: `usageMetadata`, in every event of a stream and every item of its array. The prompt contains what
 * came from the cache; what tools put before the model, and what it thought, are counted beside prompt and candidates.
 * What the total holds beyond them was written. `countTokens` answers with `totalTokens` alone, which is no report of
 * work. Interactions have a `usage` of their own. Embeddings of Vertex AI say what each text had.
 *
 * https://ai.google.dev/api/generate-content#UsageMetadata, https://ai.google.dev/api/interactions-api,
 * https://docs.cloud.google.com/vertex-ai/generative-ai/docs/model-reference/text-embeddings-api,
 * as typed by @google/genai 3.3.0 (2026-11-28)
 */
import { ITEMS } from '../../../lib/json/member.ts'
import { isObject, own } from '../../../lib/json/object.ts'
import { reportedCount } from '../../count.ts'
import { allAt, countAt, type Dialect, items, less, sumOf } from '../dialect.ts'
import { merge, NOTHING, type Said, sum } from '../said.ts'

/** Code Assist of Gemini's command line, and results of batches, wrap the whole answer. */
const WRAPPED = {
  usageMetadata: true,
  usage_metadata: true,
  candidates: { [ITEMS]: { finishReason: true } },
} as const
const STATISTICS = ['predictions', ITEMS, 'embeddings', 'statistics', 'token_count']

export const GEMINI: Dialect = {
  shape: {
    ...WRAPPED,
    response: WRAPPED,
    usage: true,
    interaction: { usage: true },
    predictions: { [ITEMS]: { embeddings: { statistics: { token_count: true } } } },
  },
  members: ['usageMetadata', 'usage_metadata', 'response', 'usage', 'interaction', 'predictions'],
  usageMembers: ['total_input_tokens', 'total_output_tokens'],
  signs: ['usageMetadata', 'usage_metadata', 'usage', 'token_count'],
  read(answer) {
    let all = NOTHING
    for (const one of [answer, own(answer, 'response')]) {
      const metadata = own(one, 'usageMetadata') ?? own(one, 'usage_metadata')
      if (isObject(metadata)) all = merge(all, readMetadata(metadata, isOpen(one)))
    }
    for (const usage of [own(answer, 'usage'), own(own(answer, 'interaction'), 'usage')])
      if (isObject(usage)) all = merge(all, readInteraction(usage))
    const embedded = sumOf(...allAt(answer, STATISTICS).map(reportedCount))
    if (embedded !== undefined) all = merge(all, { input: embedded, output: 0 })
    return all
  },
}

/** Whether a candidate is still being written, so that no count of it does not mean that it is empty. */
function isOpen(answer: unknown): boolean {
  const candidates = items(own(answer, 'candidates'))
  return candidates.length > 0 && candidates.every((one) => !own(one, 'finishReason'))
}

function readMetadata(metadata: Record<string, unknown>, isOpen: boolean): Said {
  const [prompt, tools, thought, total] = [
    metadataCount(metadata, 'promptTokenCount'),
    metadataCount(metadata, 'toolUsePromptTokenCount'),
    metadataCount(metadata, 'thoughtsTokenCount'),
    metadataCount(metadata, 'totalTokenCount'),
  ]
  // Live sessions call it the response.
  const shown =
    metadataCount(metadata, 'candidatesTokenCount') ?? metadataCount(metadata, 'responseTokenCount')
  const cached = metadataCount(metadata, 'cachedContentTokenCount')
  const named = sum(prompt, shown, thought)
  // In a total that is smaller, the prompt contains what the tools have put there.
  const isBeside = total === undefined || total >= sum(named, tools)
  const input = sumOf(prompt, isBeside ? tools : undefined)
  return {
    input,
    output: outputOf({ input, shown, thought, total, isOpen }),
    cached,
    reasoning: thought,
    ...modalities(metadata),
  }
}

/** Clients in Python, and relays that are made with them, write the names in their own way. */
function metadataCount(metadata: unknown, name: string): number | undefined {
  const snake = name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
  return countAt(metadata, [name]) ?? countAt(metadata, [snake])
}

function outputOf(counts: {
  readonly input: number | undefined
  readonly shown: number | undefined
  readonly thought: number | undefined
  readonly total: number | undefined
  readonly isOpen: boolean
}): number | undefined {
  const { input, shown, thought, total, isOpen } = counts
  const isInside =
    total !== undefined &&
    total === sum(input, shown) &&
    shown !== undefined &&
    (thought ?? 0) <= shown
  const written = isInside ? shown : sumOf(shown, thought)
  const byTotal = total === undefined || input === undefined ? 0 : Math.max(0, total - input)
  if (written === undefined && byTotal === 0) return isOpen || input === undefined ? undefined : 0
  return Math.max(written ?? 0, byTotal)
}

/** Video has the price of images, wherever those have one of their own: https://ai.google.dev/gemini-api/docs/pricing. */
const SOUND = ['AUDIO']
const PICTURES = ['IMAGE', 'VIDEO']

function modalities(metadata: Record<string, unknown>): Said {
  const of = (name: string, kinds: readonly unknown[]) =>
    sumOf(
      ...items(own(metadata, name))
        .filter((one) => kinds.includes(own(one, 'modality')))
        .map((one) => countAt(one, ['tokenCount'])),
    )
  const input = (kinds: readonly string[]) =>
    less(
      sumOf(of('promptTokensDetails', kinds), of('toolUsePromptTokensDetails', kinds)),
      of('cacheTokensDetails', kinds),
    )
  const output = (kinds: readonly string[]) =>
    sumOf(of('candidatesTokensDetails', kinds), of('responseTokensDetails', kinds))
  return {
    audioInput: input(SOUND),
    audioOutput: output(SOUND),
    imageInput: input(PICTURES),
    imageOutput: output(PICTURES),
  }
}

function readInteraction(usage: Record<string, unknown>): Said {
  const prompt = countAt(usage, ['total_input_tokens'])
  const shown = countAt(usage, ['total_output_tokens'])
  if (prompt === undefined && shown === undefined) return NOTHING
  const thought = countAt(usage, ['total_thought_tokens'])
  const total = countAt(usage, ['total_tokens'])
  const input = sumOf(prompt, countAt(usage, ['total_tool_use_tokens']))
  return {
    input,
    output: outputOf({ input, shown, thought, total, isOpen: true }),
    cached: countAt(usage, ['total_cached_tokens']),
    reasoning: thought,
  }
}
