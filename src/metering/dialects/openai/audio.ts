/**
 * Audio: `usage` by tokens is read as any other, `usage` by duration counts seconds and no tokens. Answers of whisper
 * without `usage` say how long the sound was. In a realtime session each transcription counts once by its item, beside
 * the responses.
 *
 * https://platform.openai.com/docs/api-reference/audio,
 * https://platform.openai.com/docs/api-reference/realtime-server-events/conversation/item/input_audio_transcription,
 * as typed by openai-node 7.57.0 (2026-11-28)
 */
import { own } from '../../../lib/json/object.ts'
import { TOKENS_MAX } from '../../count.ts'
import { at, type Dialect, nameOf, type Path } from '../dialect.ts'
import { add, NO_TOKENS, NOTHING, type Said } from '../said.ts'
import { readUsageObject } from './usage.ts'

const TRANSCRIBED = 'conversation.item.input_audio_transcription.completed'
const TASKS = ['transcribe', 'translate']

export const AUDIO: Dialect = {
  shape: {
    usage: true,
    type: true,
    item_id: true,
    content_index: true,
    task: true,
    duration: true,
  },
  members: ['usage', 'duration'],
  usageMembers: ['type'],
  signs: ['usage', 'duration'],
  read(answer) {
    if (own(answer, 'type') === TRANSCRIBED) return NOTHING
    const whisper = TASKS.includes(own(answer, 'task') as string)
      ? secondsAt(answer, ['duration'])
      : undefined
    const seconds = secondsOf(own(answer, 'usage')) ?? whisper
    return seconds === undefined ? NOTHING : { ...NO_TOKENS, seconds }
  },
  piece(answer) {
    if (own(answer, 'type') !== TRANSCRIBED) return null
    const usage = own(answer, 'usage')
    const seconds = secondsOf(usage)
    const said: Said | null = seconds === undefined ? readUsageObject(usage) : { seconds }
    const item = nameOf(own(answer, 'item_id'))
    const part = own(answer, 'content_index')
    const name = item && `${item} ${typeof part === 'number' ? part : 0}`
    return said && { name, said: add(NOTHING, said) }
  },
}

function secondsOf(usage: unknown): number | undefined {
  return own(usage, 'type') === 'duration' ? secondsAt(usage, ['seconds']) : undefined
}

/** Whole seconds, as they are billed. */
function secondsAt(value: unknown, path: Path): number | undefined {
  const found = at(value, path)
  const isNumber = typeof found === 'number' || (typeof found === 'string' && DECIMAL.test(found))
  const seconds = isNumber ? Math.ceil(Number(found)) : Number.NaN
  return seconds >= 0 && seconds <= TOKENS_MAX ? seconds : undefined
}

const DECIMAL = /^\d{1,13}(\.\d{1,20})?$/
