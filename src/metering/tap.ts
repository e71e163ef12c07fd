/**
 * What listens to an answer while it passes. It never delays and never alters what passes, with one exception that the
 * caller must ask for: with `hideUsage`, the chunk in which OpenAI reports usage because we asked for it is taken out of
 * a stream. It keeps at most one message, never the stream, and never throws.
 */
import type { MeterSettings } from '../domain/upstream.ts'
import { createDocumentTap, isReadable } from './document.ts'
import { JSON_LINES, SERVER_SENT_EVENTS } from './framing.ts'
import { createStreamTap } from './stream.ts'
import type { Usage } from './usage.ts'

export type Tap = {
  /** Whether `pass` may hand on other bytes than it is given, so that a length or digest of them is wrong. */
  readonly alters: boolean
  /** What to hand on now; null is nothing yet. Unless usage is hidden it is the very chunk. */
  pass(chunk: Uint8Array): Uint8Array | null
  /** What is still held back, when the answer has ended as it should. */
  flush(): Uint8Array | null
  /** What has been reported, at the end or when the answer was cut off; null if it is not enough to charge by. */
  usage(): Usage | null
  /** The number that a meter of the kind `json` reads. */
  units(): number | null
}

export type Listener = Tap & {
  /** Bytes that are reserved in memory at this moment. */
  retained(): number
}

export type TapOptions = {
  readonly contentType: string | null
  readonly contentEncoding: string | null
  readonly settings: MeterSettings
  readonly hideUsage: boolean
}

const JSON_LINES_TYPES = ['application/x-ndjson', 'application/ndjson', 'application/jsonl']

/** Null if nothing can be read from such an answer. A compressed stream is not: it would have to be unpacked on its way. */
export function createTap(options: TapOptions): Listener | null {
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
