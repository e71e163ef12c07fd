/**
 * Makes sense of counts that leave open what they contain. APIs that speak like OpenAI differ in whether the input
 * contains what came from the cache, and the output what was thought. Their total tells: what it holds beyond input and
 * output is one of the parts that are named. A total is never taken for output just because it is larger. Pure.
 *
 * xAI leaves thought out of `completion_tokens`, and Gemini in OpenAI's form does without naming it. Some relays leave the
 * cache out of `prompt_tokens`, and some out of the total alone.
 *
 * https://docs.cloud.google.com/vertex-ai/generative-ai/docs/partner-models/grok/capabilities/reasoning,
 * https://ai.google.dev/gemini-api/docs/openai, https://github.com/browser-use/browser-use/pull/4294 (2026-11-28)
 */
import { type Said, sum } from './said.ts'

export type Counts = {
  readonly input: number | undefined
  readonly output: number | undefined
  readonly total: number | undefined
  readonly cached: number | undefined
  readonly written: number | undefined
  readonly reasoning: number | undefined
}

export function settle(counts: Counts): Said {
  const { total, cached, written, reasoning } = counts
  const known = total === undefined ? withoutTotal(counts) : withTotal(counts, total)
  return { ...known, cached, written, reasoning }
}

/** A part that is larger than the whole shows that the whole leaves it out. */
function withoutTotal({ input, output, cached = 0, written = 0, reasoning = 0 }: Counts): Said {
  return {
    input:
      input === undefined
        ? undefined
        : cached > input
          ? sum(input, cached, written)
          : written > input
            ? sum(input, written)
            : input,
    output: output === undefined ? undefined : reasoning > output ? sum(output, reasoning) : output,
  }
}

function withTotal(counts: Counts, total: number): Said {
  const { input = 0, output = 0, cached = 0, written = 0, reasoning = 0 } = counts
  const surplus = total - input - output
  if (surplus <= 0) return nothingBeyond(counts, surplus)
  const cache = sum(cached, written)
  // Nobody works without having read: what is missing of half a report was read.
  if (input === 0) {
    const thought = reasoning > output && surplus > reasoning ? reasoning : 0
    return { input: surplus - thought, output: sum(output, thought) }
  }
  const isThought =
    [0, cache, cached, written].some((read) => surplus === reasoning + read) ||
    (reasoning > output && surplus > reasoning)
  const thought = isThought ? reasoning : 0
  const left = surplus - thought
  const isCache = [cache, cached, written].includes(left) || cached > input || written > input
  const read = isCache ? Math.min(left, cache) : 0
  const rest = left - read
  // What is missing of the other half was written.
  const made = output === 0 ? rest : 0
  return {
    input: sum(input, read),
    output: sum(output, thought, made),
    outputByTotal: sum(output, thought, rest),
  }
}

/** A total that says no more than its parts, of which it may be all that was said of one. */
function nothingBeyond({ input, output }: Counts, surplus: number): Said {
  return {
    input: input ?? (output === undefined ? 0 : undefined),
    output: output ?? (surplus === 0 ? 0 : undefined),
  }
}
