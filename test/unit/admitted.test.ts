/** What goes to an upstream has been charged: the compiler refuses everything else. */
import { expect, test } from 'bun:test'
import type { forward } from '../../src/proxy/send/forward.ts'
import type { AdmittedOutbound, Outbound } from '../../src/proxy/send/outbound.ts'
import type { openSocket } from '../../src/proxy/send/websocket.ts'

test('neither a request nor a WebSocket can be sent without an admission', () => {
  const outbound = {} as Outbound
  // @ts-expect-error An outbound request that nobody has admitted.
  const unpaid: Parameters<typeof forward>[0] = outbound
  // @ts-expect-error The same for a WebSocket.
  const unpaidSocket: Parameters<typeof openSocket>[0] = outbound
  const paid: Parameters<typeof forward>[0] = {} as AdmittedOutbound
  expect([unpaid, unpaidSocket, paid]).toHaveLength(3)
})
