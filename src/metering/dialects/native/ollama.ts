/**
 * Ollama's own API, `/api/chat`, `/api/generate` and `/api/embed`: counts beside the answer, in the last line of a stream.
 * Counts that are zero are left out: embeddings have no `eval_count`, and an answer whose prompt was cached may have no
 * `prompt_eval_count`.
 *
 * https://docs.ollama.com/api/usage, as typed by ollama 0.6.4 (2026-11-28)
 */
import { countAt, type Dialect } from '../dialect.ts'
import { NOTHING } from '../said.ts'

export const OLLAMA: Dialect = {
  shape: { prompt_eval_count: true, eval_count: true },
  members: ['prompt_eval_count', 'eval_count'],
  signs: ['prompt_eval_count', 'eval_count'],
  read(answer) {
    const input = countAt(answer, ['prompt_eval_count'])
    const output = countAt(answer, ['eval_count'])
    if (input === undefined && output === undefined) return NOTHING
    return { input, output: output ?? 0 }
  },
}
