/** Which requests ask to become a WebSocket. */
import type { Fields } from '../headers/fields.ts'

/** Whether the request asks for a WebSocket, and says nothing of how it would shake hands. */
export function isProbe(method: string, fields: Fields): boolean {
  return asksForSocket(method, fields) && fields['sec-websocket-key'] === undefined
}

/** RFC 6455 section 4.2.1. Anything less is a plain request: RFC 9110 section 7.8 allows to ignore its Upgrade. */
export function isUpgrade(method: string, fields: Fields): boolean {
  return (
    asksForSocket(method, fields) &&
    fields['sec-websocket-version'] === '13' &&
    fields['sec-websocket-key']?.length === KEY_CHARS
  )
}

function asksForSocket(method: string, { upgrade }: Fields): boolean {
  return method === 'GET' && upgrade !== undefined && /(?:^|,)\s*websocket\s*(?:,|$)/i.test(upgrade)
}

/** Sixteen bytes in base64. */
const KEY_CHARS = 24
