/** Chooses what listens to an answer, by its media type and by what the upstream is metered by. */
import type { MeterSettings } from '../../domain/upstream.ts'
import { createDocumentTap, isReadable } from './document.ts'
import { JSON_LINES, SERVER_SENT_EVENTS } from './framing.ts'
import { createStreamTap } from './stream.ts'
import type { MeteringTap } from './tap.ts'

export type AnswerTapOptions = {
  readonly contentType: string | null
  readonly contentEncoding: string | null
  readonly settings: MeterSettings
  /** Whether the chunk is hidden in which OpenAI reports usage only because we asked for it. */
  readonly hideUsage: boolean
}

const JSON_LINES_TYPES = ['application/x-ndjson', 'application/ndjson', 'application/jsonl']

/**
 * Null if nothing can be read from such an answer: a compressed stream would have to be unpacked.
 */
export function createAnswerTap(options: AnswerTapOptions): MeteringTap | null {
  const { settings } = options
  if (settings.kind === 'none') return null
  const type = (options.contentType ?? '').split(';', 1).join('').trim().toLowerCase()
  const encoding = (options.contentEncoding ?? '').trim().toLowerCase() || 'identity'

  if (type === 'application/json' || type.endsWith('+json')) {
    return isReadable(encoding) ? createDocumentTap(encoding, settings) : null
  }
  if (settings.kind !== 'tokens' || encoding !== 'identity') return null
  if (type === 'text/event-stream') return createStreamTap(SERVER_SENT_EVENTS, options.hideUsage)
  return JSON_LINES_TYPES.includes(type) ? createStreamTap(JSON_LINES, false) : null
}
