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
const LOOKED_AT_CHARS = 16 * 1024

/** What such an answer says, in whatever words. */
const NAMED = /stream_options|include_usage/

export function mayBeOfOption(status: number): boolean {
  return status === 400 || status === 422
}

/** `text` is the beginning of the body; empty if it cannot be read. */
export function isOfOption(status: number, text: string): boolean {
  return mayBeOfOption(status) && NAMED.test(text.slice(0, LOOKED_AT_CHARS))
}
