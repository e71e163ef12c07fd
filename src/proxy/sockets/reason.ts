/** Why a WebSocket is closed, as its client is told. */
import type { Refusal } from '../../errors.ts'

/** RFC 6455 section 7.4.1. */
export const GOING_AWAY = 1001
export const POLICY = 1008
export const TRY_LATER = 1013

/** RFC 6455 section 5.5: the payload of a close has 125 bytes, of which two are the code. */
const REASON_BYTES_MAX = 123

/** In ASCII, so that each character is a byte. */
export function reasonOf({ code, message }: Refusal): string {
  return `${code}: ${message}`.replace(/[^ -~]/g, '?').slice(0, REASON_BYTES_MAX)
}
