/**
 * Bedrock. Converse has `usage` with names of its own, in the answer or in the `metadata` event of a stream; the input
 * leaves out what was written to the cache or read from it. InvokeModel passes what the model's maker reports, and adds
 * `amazon-bedrock-invocationMetrics` to the last event of a stream; Titan and Llama report beside their answers.
 *
 * https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_TokenUsage.html,
 * https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-titan-embed-text.html,
 * https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-meta.html (2026-11-28)
 */
import { ITEMS } from '../../../lib/json/member.ts'
import { isObject, own } from '../../../lib/json/object.ts'
import { reportedCount } from '../../count.ts'
import { allAt, at, countAt, type Dialect, items, sumOf } from '../dialect.ts'
import { merge, NOTHING, type Said } from '../said.ts'

const METRICS = 'amazon-bedrock-invocationMetrics'

export const BEDROCK: Dialect = {
  shape: {
    usage: true,
    metadata: { usage: true },
    [METRICS]: true,
    inputTextTokenCount: true,
    results: { [ITEMS]: { tokenCount: true } },
    prompt_token_count: true,
    generation_token_count: true,
  },
  members: [
    'usage',
    'metadata',
    METRICS,
    'inputTextTokenCount',
    'prompt_token_count',
    'generation_token_count',
  ],
  usageMembers: ['inputTokens', 'outputTokens'],
  signs: ['usage', METRICS, 'inputTextTokenCount', 'prompt_token_count', 'generation_token_count'],
  read(answer) {
    const reports = [
      readConverse(own(answer, 'usage')),
      readConverse(at(answer, ['metadata', 'usage'])),
      readMetrics(own(answer, METRICS)),
      readTitan(answer),
      readLlama(answer),
    ]
    return reports.reduce(merge)
  },
}

function readConverse(usage: unknown): Said {
  if (!isObject(usage)) return NOTHING
  const [cached, written] = [
    countAt(usage, ['cacheReadInputTokens']),
    countAt(usage, ['cacheWriteInputTokens']),
  ]
  const fresh = countAt(usage, ['inputTokens'])
  const output = countAt(usage, ['outputTokens'])
  if (fresh === undefined && output === undefined) return NOTHING
  const long = items(own(usage, 'cacheDetails'))
    .filter((one) => own(one, 'ttl') === '1h')
    .map((one) => countAt(one, ['inputTokens']))
  return {
    input: fresh === undefined ? undefined : sumOf(fresh, cached, written),
    output,
    cached,
    written,
    writtenLong: sumOf(...long),
  }
}

function readMetrics(metrics: unknown): Said {
  if (!isObject(metrics)) return NOTHING
  const [cached, written] = [
    countAt(metrics, ['cacheReadInputTokenCount']),
    countAt(metrics, ['cacheWriteInputTokenCount']),
  ]
  const fresh = countAt(metrics, ['inputTokenCount'])
  return {
    input: fresh === undefined ? undefined : sumOf(fresh, cached, written),
    output: countAt(metrics, ['outputTokenCount']),
    cached,
    written,
  }
}

/** Embeddings of Titan write nothing; its texts say how long each is. */
function readTitan(answer: unknown): Said {
  const input = countAt(answer, ['inputTextTokenCount'])
  if (input === undefined) return NOTHING
  const written = sumOf(...allAt(answer, ['results', ITEMS, 'tokenCount']).map(reportedCount))
  return { input, output: written ?? 0 }
}

function readLlama(answer: unknown): Said {
  const input = countAt(answer, ['prompt_token_count'])
  const output = countAt(answer, ['generation_token_count'])
  return input === undefined && output === undefined ? NOTHING : { input, output }
}
