/** What is looked for in the JSON of an answer, whichever API it comes from. */
import { planWalk } from '../../lib/json/walk-plan.ts'
import { REPORT, SIGNS } from '../dialects/index.ts'

/**
 * Members that hold what a model writes: text, thought, and arguments of tools that are written as text. Images, sound,
 * embeddings and signatures stand under other names.
 */
const TEXTS = [
  ...['content', 'text', 'delta', 'response', 'completion', 'generated_text', 'output_text'],
  ...['thinking', 'reasoning', 'reasoning_content', 'reasoning_text', 'refusal', 'transcript'],
  ...['arguments', 'partial_json', 'tool_plan', 'translation', 'output', 'summary', 'input'],
]

/** Arguments of tools as objects, in whole messages. */
const OBJECTS = ['arguments', 'args', 'input']

/** How many values of an answer are read for the name of the model, if they say nothing else. */
export const UNSIGNED_MAX = 4

export const WALK = planWalk({ shape: REPORT, signs: SIGNS, texts: TEXTS, objects: OBJECTS })
