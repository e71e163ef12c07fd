/**
 * Whether an upstream has refused a request for `stream_options`, which the client has never asked for: some take no member
 * that they do not know. Such an answer does not reach the client.
 */
import type { Slot } from '../in-flight.ts'
import type { Wish } from '../request/usage-wishes.ts'

/** What an exchange ends with in the place of an answer: the request is to go out anew, without the option. */
export class OptionRefused {
  /** The call keeps it. */
  readonly slot: Slot
  readonly wish: Wish | null

  constructor(slot: Slot, wish: Wish | null) {
    this.slot = slot
    this.wish = wish
  }
}

/** Errors of these APIs are shorter. */
const LOOKED_AT_BYTES = 16 * 1024

/** What such an answer says, in whatever words. */
const NAMED = /stream_options|include_usage/

export type Looked = {
  readonly isOfOption: boolean
  /** The answer as it came, to be read from its beginning. */
  readonly response: Response
}

export function mayBeOfOption(status: number): boolean {
  return status === 400 || status === 422
}

/** An answer that breaks off is of no option, and breaks off again for whoever reads it. */
export async function lookAtRefusal(answer: Response): Promise<Looked> {
  const reader = answer.body?.getReader()
  if (!reader) return { isOfOption: false, response: answer }
  const chunks: Uint8Array[] = []
  let bytes = 0
  let ended = false
  try {
    while (!ended && bytes < LOOKED_AT_BYTES) {
      const { done, value } = await reader.read()
      ended = done
      if (value) chunks.push(value)
      bytes += value?.byteLength ?? 0
    }
  } catch {
    const { status, headers } = answer
    const broken = followedBy(Buffer.concat(chunks), reader)
    return { isOfOption: false, response: new Response(broken, { status, headers }) }
  }
  const head = Buffer.concat(chunks)
  const isOfOption = NAMED.test(head.toString('latin1'))
  if (isOfOption) void reader.cancel().catch(() => {})
  const { status, headers } = answer
  const body = ended || isOfOption ? head : followedBy(head, reader)
  return { isOfOption, response: new Response(body, { status, headers }) }
}

function followedBy(
  head: Uint8Array,
  reader: Pick<ReadableStreamDefaultReader<Uint8Array>, 'read' | 'cancel'>,
): ReadableStream<Uint8Array> {
  return new ReadableStream<Uint8Array>(
    {
      start: (controller) => controller.enqueue(head),
      async pull(controller) {
        const { done, value } = await reader.read()
        if (value) controller.enqueue(value)
        if (done) controller.close()
      },
      cancel: (reason) => reader.cancel(reason),
    },
    { highWaterMark: 0 },
  )
}
