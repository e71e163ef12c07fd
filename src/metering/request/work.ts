/**
 * What the path of a call says of the work behind it. A table, since only the documentation of each API knows. A path that is
 * not here is work. Pure; takes decoded paths after the base URL, in their plain spelling.
 */

/** How much of a path is looked at: none that is in here is longer. */
const PATH_CHARS_MAX = 1024

type Row = {
  readonly pattern: RegExp
  /** The methods for which it holds; absent is all. */
  readonly methods?: readonly string[]
  /** What a body asks for work with, where another API has work at the same path. A body that is not read may hold it. */
  readonly unless?: RegExp
}

/**
 * No model works, and nothing is paid by tokens. Such a call reserves nothing. If its answer reports usage all the same, that
 * is charged. Read in November 2026.
 */
const WITHOUT_WORK: readonly Row[] = [
  // Mistral bills its moderations, and reports them: https://docs.mistral.ai/capabilities/guardrailing
  { pattern: /\/moderations$/ },
  // https://platform.openai.com/docs/api-reference/files, /uploads; https://docs.claude.com/en/api/files-create;
  // https://ai.google.dev/api/files; https://docs.mistral.ai/api (files)
  { pattern: /\/files(?:\/[^/]+(?:\/(?:content|url|cancel))?)?$/ },
  { pattern: /\/files(?:\/[^/]+)?:[a-zA-Z]+$/ },
  { pattern: /\/uploads(?:\/[^/]+(?:\/(?:parts|complete|cancel))?)?$/ },
  // https://platform.openai.com/docs/api-reference/vector-stores: paid by size and day
  { pattern: /\/vector_stores(?:\/.*)?$/ },
  // https://platform.openai.com/docs/api-reference/assistants, /threads, /messages, /containers
  { pattern: /\/assistants(?:\/[^/]+)?$/ },
  { pattern: /\/threads(?:\/(?!runs$)[^/]+(?:\/messages(?:\/[^/]+)?)?)?$/ },
  { pattern: /\/containers(?:\/.*)?$/ },
  // https://platform.openai.com/docs/api-reference/conversations; Mistral's answer (https://docs.mistral.ai/agents)
  { pattern: /\/conversations\/[^/]+\/items(?:\/[^/]+)?$/ },
  { pattern: /\/conversations(?:\/[^/]+)?$/, unless: /"inputs"|\\u/ },
  // https://docs.ollama.com/api: what manages models
  { pattern: /\/api\/(?:show|pull|push|create|copy|delete|ps|tags|version|blobs\/.*)$/ },
  // What Claude Code and Codex tell their makers of themselves.
  { pattern: /\/api\/(?:event_logging(?:\/.*)?|hello|claude_code\/.*|claude_cli\/.*)$/ },
  { pattern: /\/(?:codex\/)?analytics-events\/.*$/ },
  // Lists of models, and single ones, which no body asks for anything; a model that is asked to work has a verb at its end.
  { pattern: /\/models$/ },
]

/** What an answer reports is no work of this call: it is counted before it is asked for, or was paid when it was done. */
const WITHOUT_REPORT: readonly Row[] = [
  // https://docs.claude.com/en/api/messages-count-tokens, https://platform.openai.com/docs/api-reference/responses/input-tokens
  { pattern: /\/(?:count_tokens|count-tokens|input_tokens)$/ },
  // https://ai.google.dev/api/tokens, https://cloud.google.com/vertex-ai (computeTokens)
  { pattern: /:(?:countTokens|computeTokens)$/ },
  // Cohere, xAI, llama.cpp and vLLM, Moonshot, Zhipu
  { pattern: /\/(?:tokenize|detokenize|tokenize-text|apply-template|tokenizer)$/ },
  { pattern: /\/tokenizers\/estimate-token-count$/ },
  // https://platform.openai.com/docs/api-reference/chat/update: changes the metadata of a stored completion
  { pattern: /\/chat\/completions\/[^/]+$/, methods: ['POST', 'DELETE'], unless: /"messages"|\\u/ },
  // https://platform.openai.com/docs/api-reference/runs/modifyRun
  { pattern: /\/threads\/[^/]+\/runs\/[^/]+(?:\/cancel)?$/, methods: ['POST'] },
]

/** Both tables at once: nearly every call is work, and is asked for it several times. */
const ANY = new RegExp(
  [...WITHOUT_WORK, ...WITHOUT_REPORT].map(({ pattern }) => pattern.source).join('|'),
)

/** Whether the call does no work that is paid for by tokens. `text` is its body; null if that is not read. */
export function worksForNothing(path: string, method: string, text: string | null): boolean {
  return isIn(WITHOUT_WORK, path, method, text) || reportsNothing(path, method, text)
}

/** Whether what the answer may report must not be charged. */
export function reportsNothing(path: string, method: string, text: string | null): boolean {
  return isIn(WITHOUT_REPORT, path, method, text)
}

function isIn(table: readonly Row[], path: string, method: string, text: string | null): boolean {
  if (path.length > PATH_CHARS_MAX || !ANY.test(path)) return false
  const row = table.find(
    ({ pattern, methods }) => (!methods || methods.includes(method)) && pattern.test(path),
  )
  if (!row) return false
  return !row.unless || (text !== null && !row.unless.test(text))
}

/** Vectors, ranks and sound: nothing that is counted in tokens of text. */
const WRITES_NOTHING =
  /\/embed(?:dings?)?$|:(?:batch)?embedContents?$|\/rerank(?:ing)?$|\/audio\/speech$|\/text-to-speech(?:\/|$)/i

export function writesNothing(path: string): boolean {
  return path.length <= PATH_CHARS_MAX && WRITES_NOTHING.test(path)
}

/**
 * Where OpenAI's `stream_options` are understood; Responses, Anthropic and Ollama report without being asked. So does Mistral,
 * whose fill-in-the-middle (`/fim/completions`) takes no such option: https://docs.mistral.ai/api (fim).
 */
const REPORTS_IF_ASKED = /\/(?:chat\/)?completions$/
const NEVER_ASKED = /\/fim\/completions$/

export function reportsIfAsked(path: string): boolean {
  return REPORTS_IF_ASKED.test(path) && !NEVER_ASKED.test(path)
}
