/**
 * The one spelling of a path that rules about work and cost go by, and the models that stand in it. An upstream may take
 * several spellings for one path: what costs more in one must not cost less in another. Pure.
 */

/** Nobody encodes so often by mistake. */
const ROUNDS_MAX = 3

/**
 * As the most lenient of servers would read a decoded path: nginx merges slashes, Express and others ignore one at the end,
 * IIS takes backslashes, Java's servers cut parameters off (`;x=1`), and some programs decode twice.
 */
export function plainPath(path: string): string {
  return IS_PLAIN.test(path) ? path : simplified(path)
}

/** Nearly all paths: they cost one test. */
const IS_PLAIN = /^(?:\/[^/\\%;]+)+$/

function simplified(path: string): string {
  let decoded = path
  for (let round = 0; round < ROUNDS_MAX && decoded.includes('%'); round++) {
    const before = decoded
    decoded = decodeOnce(before)
    if (decoded === before) break
  }
  const steps = decoded
    .split(/[/\\]/)
    .map((step) => step.replace(/;.*$/s, ''))
    .filter((step) => step !== '')
  return `/${steps.join('/')}`
}

function decodeOnce(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/**
 * The models that a path names. Azure and the first API of OpenAI have them before what is asked of them, Bedrock between two
 * words, Google before a verb, Cloudflare at the end. Whoever is asked by such a path goes by it, whatever a body says.
 */
export function modelsInPath(path: string): string[] {
  if (!MAY_NAME.test(path)) return []
  const plain = plainPath(path)
  return PATTERNS.flatMap((pattern) => {
    const name = pattern.exec(plain)?.[1]
    return name === undefined || name === '' ? [] : [withoutVerb(name)]
  })
}

/** Before anything is taken apart: most paths name none. */
const MAY_NAME = /model|deployments|engines|\/run\//i

/** https://learn.microsoft.com/azure/ai-services/openai/reference, https://ai.google.dev/api/models,
 * https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html,
 * https://developers.cloudflare.com/workers-ai/get-started/rest-api */
const PATTERNS = [
  /\/(?:tuned)?models\/(.+?)(?:\/(?:predictions|endpoints|v1\/.*))?$/i,
  /\/deployments\/([^/]+)/i,
  /\/engines\/([^/]+)/i,
  /\/model\/(.+)\/[^/]+$/i,
  /\/ai\/run\/(.+)$/i,
]

/** `gemini-2.5-pro:generateContent`, and not `llama3:8b`. */
function withoutVerb(name: string): string {
  return name.replace(/:[a-zA-Z]+$/, '')
}
