/**
 * Servers of one's own: llama.cpp (`tokens_evaluated`, `tokens_predicted`, `timings`, of which `prompt_n` leaves out what
 * was cached), and text-generation-inference (`details`).
 *
 * https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md,
 * https://huggingface.github.io/text-generation-inference/ (2026-11-28)
 */
import { countAt, type Dialect, sumOf } from '../dialect.ts'
import { isNothing, merge, NOTHING, type Said } from '../said.ts'

export const LLAMA_CPP: Dialect = {
  shape: {
    tokens_evaluated: true,
    tokens_predicted: true,
    timings: true,
    details: { generated_tokens: true, input_length: true },
  },
  members: ['tokens_evaluated', 'tokens_predicted', 'timings', 'details'],
  signs: ['tokens_predicted', 'tokens_evaluated', 'timings', 'generated_tokens'],
  read(answer) {
    const fresh = countAt(answer, ['timings', 'prompt_n'])
    const cached = countAt(answer, ['timings', 'cache_n'])
    const timed: Said = {
      input: fresh === undefined ? undefined : sumOf(fresh, cached),
      output: countAt(answer, ['timings', 'predicted_n']),
      cached,
    }
    const counted: Said = {
      input: countAt(answer, ['tokens_evaluated']),
      output: countAt(answer, ['tokens_predicted']),
    }
    const generated: Said = {
      input: countAt(answer, ['details', 'input_length']),
      output: countAt(answer, ['details', 'generated_tokens']),
    }
    const all = merge(merge(timed, counted), generated)
    return isNothing(all) ? NOTHING : all
  },
}
