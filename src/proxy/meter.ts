/**
 * Relays the upstream's body to the client with back-pressure, at most one chunk ahead, and reports its end exactly once:
 * when it is whole, when the upstream breaks off, or when the client leaves. A body that was cut off ends as an error,
 * never as if it were whole.
 */
import type { Outcome } from '../quota/ledger.ts'
import type { Deadline } from './forward.ts'

export type End = {
  readonly outcome: Extract<
    Outcome,
    'answered' | 'client_aborted' | 'upstream_timeout' | 'upstream_truncated'
  >
  readonly bytes: number
}

/** `onEnd` is called exactly once, also when there is no body. */
export function meter(
  body: ReadableStream<Uint8Array> | null,
  deadline: Deadline,
  onEnd: (end: End) => void,
): ReadableStream<Uint8Array> | null {
  let bytes = 0
  let ended = false
  const end = (outcome: End['outcome']) => {
    if (ended) return
    ended = true
    deadline.end()
    onEnd({ outcome, bytes })
  }
  if (!body) {
    end('answered')
    return null
  }

  const reader = body.getReader()
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          const { done, value } = await reader.read()
          if (done) {
            end('answered')
            controller.close()
            return
          }
          deadline.touch()
          bytes += value.byteLength
          controller.enqueue(value)
        } catch (error) {
          end(deadline.cause() ?? 'upstream_truncated')
          controller.error(error)
        }
      },
      cancel() {
        deadline.abandon()
        end('client_aborted')
        // Aborting alone has left bodies behind in memory (bun#32659).
        return reader.cancel().catch(() => {})
      },
    },
    { highWaterMark: 0 },
  )
}
