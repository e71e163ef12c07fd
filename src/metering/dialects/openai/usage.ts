/**
 * The `usage` object of OpenAI and of all who speak like it, wherever it stands and however it is spelled. Each number
 * counts by its largest spelling, so that zeros in one family take nothing from the other. Pure.
 */
import { isObject, own } from '../../../lib/json/object.ts'
import { DEEPSEEK_SPELLING } from '../compatible/deepseek.ts'
import { GROQ } from '../compatible/groq.ts'
import { MISTRAL_SPELLING } from '../compatible/mistral.ts'
import { MOONSHOT } from '../compatible/moonshot.ts'
import { RELAYS } from '../compatible/relays.ts'
import { allAt, countAt, type Dialect, largest, less, type Path } from '../dialect.ts'
import { isNothing, merge, NOTHING, type Said } from '../said.ts'
import { settle } from '../settle.ts'
import { OPENAI, type Spelling } from './spelling.ts'

const SPELLINGS = [OPENAI, DEEPSEEK_SPELLING, GROQ, MISTRAL_SPELLING, MOONSHOT, RELAYS]

const paths = (of: keyof Spelling): readonly Path[] => SPELLINGS.flatMap((one) => one[of] ?? [])

const PLACES = paths('places')
const INPUT = paths('input')
const OUTPUT = paths('output')
const TOTAL = paths('total')
const CACHED = paths('cached')
const WRITTEN = paths('written')
const WRITTEN_LONG = paths('writtenLong')
const REASONING = paths('reasoning')
const AUDIO_INPUT = paths('audioInput')
const AUDIO_CACHED = paths('audioCached')
const AUDIO_OUTPUT = paths('audioOutput')
const IMAGE_INPUT = paths('imageInput')
const IMAGE_CACHED = paths('imageCached')
const IMAGE_OUTPUT = paths('imageOutput')
const SECONDS = paths('seconds')

/** Null if it says nothing that is known. */
export function readUsageObject(usage: unknown): Said | null {
  // Most of what is asked for it has none; Gemini's interactions count by names of their own.
  if (!isObject(usage) || Object.hasOwn(usage, 'total_input_tokens')) return null
  const settled = settle({
    input: largest(usage, INPUT),
    output: largest(usage, OUTPUT),
    total: largest(usage, TOTAL),
    cached: largest(usage, CACHED),
    written: largest(usage, WRITTEN),
    reasoning: largest(usage, REASONING),
  })
  const said = {
    ...settled,
    writtenLong: largest(usage, WRITTEN_LONG),
    audioInput: less(largest(usage, AUDIO_INPUT), largest(usage, AUDIO_CACHED)),
    audioOutput: largest(usage, AUDIO_OUTPUT),
    imageInput: less(largest(usage, IMAGE_INPUT), largest(usage, IMAGE_CACHED)),
    imageOutput: largest(usage, IMAGE_OUTPUT),
    seconds: largest(usage, SECONDS),
  }
  return isNothing(said) ? null : said
}

/** Embeddings write nothing, and do not say so; an answer with choices has yet to say what it has written. */
function isEmbedding(answer: unknown, usage: unknown): boolean {
  return own(answer, 'choices') === undefined && countAt(usage, ['prompt_tokens']) !== undefined
}

export const USAGE: Dialect = {
  shape: {
    usage: true,
    x_groq: { usage: true },
    choices: { '[]': { usage: true } },
  },
  signs: ['usage'],
  read(answer) {
    let all = NOTHING
    for (const place of PLACES) {
      for (const usage of allAt(answer, place)) {
        const said = readUsageObject(usage)
        if (!said) continue
        const isHalf = said.input !== undefined && said.output === undefined
        all = merge(all, isHalf && isEmbedding(answer, usage) ? { ...said, output: 0 } : said)
      }
    }
    return all === NOTHING ? null : all
  },
}
