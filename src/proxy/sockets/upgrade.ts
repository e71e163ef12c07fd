/** Which requests ask to become a WebSocket. */
import type { Fields } from '../headers/fields.ts'

/** RFC 6455 section 4.2.1. Anything less is a plain request: RFC 9110 section 7.8 allows to ignore its Upgrade. */
export function isUpgrade(method: string, fields: Fields): boolean {
  return (
    method === 'GET' &&
    fields['upgrade'] !== undefined &&
    /(?:^|,)\s*websocket\s*(?:,|$)/i.test(fields['upgrade']) &&
    fields['sec-websocket-version'] === '13' &&
    fields['sec-websocket-key']?.length === KEY_CHARS
  )
}

/** Sixteen bytes in base64. */
const KEY_CHARS = 24
