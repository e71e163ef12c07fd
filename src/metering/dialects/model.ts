/** The model that has done the work, as the answer names it. Pure. */
import type { Shape } from '../../lib/json/member.ts'
import { at, type Path } from './dialect.ts'

/** The longest names that are in use have a hundred characters; the ledger keeps no essays. */
const MODEL_CHARS_MAX = 256

const PLACES: readonly Path[] = [
  ['model'],
  // Events of OpenAI's Responses hold the whole response, `message_start` of Anthropic the message so far.
  ['response', 'model'],
  ['message', 'model'],
  ['modelVersion'],
  ['response', 'modelVersion'],
  ['interaction', 'model'],
  ['response', 'body', 'model'],
  ['result', 'message', 'model'],
]

export const MODEL_SHAPE: Shape = {
  model: true,
  modelVersion: true,
  message: { model: true },
  interaction: { model: true },
  response: { model: true, modelVersion: true, body: { model: true } },
  result: { message: { model: true } },
}

/** Nearly all name it at the first place, and nothing at the others. */
export function modelOf(answer: Record<string, unknown>): string | undefined {
  for (const place of PLACES) {
    const [first = ''] = place
    if (answer[first] === undefined) continue
    const name = at(answer, place)
    if (typeof name === 'string' && name !== '' && name.length <= MODEL_CHARS_MAX)
      return name.toWellFormed()
  }
  return undefined
}
