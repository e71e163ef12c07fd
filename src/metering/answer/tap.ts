/**
 * What listens to an answer while it passes. It never delays and never alters what passes, with one
 * exception that the caller must ask for: with `hideUsage`, the chunk in which OpenAI reports usage
 * because we asked for it is taken out of a stream. It keeps at most a part of one message, never
 * the stream, and never throws.
 */
import type { Report } from '../reckon.ts'
import type { Reported } from '../usage.ts'

export type Tap = {
  /**
   * Whether `pass` may hand on other bytes than it is given, so that a length or digest of them is
   * wrong.
   */
  readonly alters: boolean
  /** What to hand on now; null is nothing yet. Unless usage is hidden it is the very chunk. */
  pass(chunk: Uint8Array): Uint8Array | null
  /** What is still held back, when the answer has ended as it should. */
  flush(): Uint8Array | null
  /**
   * What has been reported, at the end or when the answer was cut off. What passes later is not
   * seen. `writtenBytes` may be reckoned only when it is read.
   */
  report(): Report
}

/** Reads what an answer reports of its work. */
export type MeteringTap = Tap & {
  /** Bytes that are reserved in memory at this moment. */
  retained(): number
}

/** Reads an answer of one form, unpacked. */
export type Listener = {
  take(bytes: Uint8Array): void
  /** The answer has ended, or was cut off. */
  end(): void
  usage(): Reported
  failed(): boolean
  /** As in `Report`. */
  unknown?(): readonly string[] | null
  /** Absent where whatever comes can be read. */
  isPartial?(): boolean
  writtenBytes(): number
  readonly retained: number
}
