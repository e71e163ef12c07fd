/** All dialects, and what they look for in an answer. A new one is a file with its source, a row here, and tests. */
import type { Shape } from '../../lib/json/member.ts'
import type { Dialect } from './dialect.ts'
import { FAILURE_SHAPE, FAILURE_SIGNS } from './failure.ts'
import { MODEL_SHAPE } from './model.ts'
import { ANTHROPIC } from './native/anthropic.ts'
import { BEDROCK } from './native/bedrock.ts'
import { COHERE } from './native/cohere.ts'
import { DASHSCOPE } from './native/dashscope.ts'
import { GEMINI } from './native/gemini.ts'
import { LLAMA_CPP } from './native/llama-cpp.ts'
import { OLLAMA } from './native/ollama.ts'
import { AUDIO } from './openai/audio.ts'
import { BATCH } from './openai/batch.ts'
import { IMAGES } from './openai/images.ts'
import { RESPONSES } from './openai/responses.ts'
import { USAGE } from './openai/usage.ts'
import { UNKNOWN_SHAPE, UNKNOWN_SIGNS } from './unknown.ts'

/** Each finds its own reports, whatever else the answer holds; what two of them find in one place is merged. */
export const DIALECTS: readonly Dialect[] = [
  USAGE,
  RESPONSES,
  IMAGES,
  AUDIO,
  BATCH,
  ANTHROPIC,
  GEMINI,
  OLLAMA,
  COHERE,
  BEDROCK,
  DASHSCOPE,
  LLAMA_CPP,
]

/** All members that anybody looks for in an answer. */
export const REPORT: Shape = [
  ...DIALECTS.map(({ shape }) => shape),
  MODEL_SHAPE,
  FAILURE_SHAPE,
  UNKNOWN_SHAPE,
].reduce(unite)

/** Names of members of which one stands in every message that is worth being read. */
export const SIGNS: readonly string[] = [
  ...new Set([...DIALECTS.flatMap(({ signs }) => signs), ...FAILURE_SIGNS, ...UNKNOWN_SIGNS]),
]

function unite(a: Shape, b: Shape): Shape {
  const united: { [name: string]: true | Shape } = { ...a }
  for (const [name, part] of Object.entries(b)) {
    const other = Object.hasOwn(united, name) ? united[name] : undefined
    if (other === undefined) united[name] = part
    else united[name] = other === true || part === true ? true : unite(other, part)
  }
  return united
}
