/** `GET /me/calls/{id}`: a holder looks up what one of their calls cost, and why. Costs nothing. */
import { Elysia, t } from 'elysia'
import type { Refusal } from '../../errors.ts'
import { refuses } from '../../http/openapi-errors.ts'
import { noQuery } from '../../http/query.ts'
import { senderOf } from '../../http/request-name.ts'
import { find } from './index.ts'
import { Call, showCall } from './model.ts'
import type { CallStore } from './store.ts'

/** How the data path recognises a holder and says no; the same key, the same words. */
export type Holders = {
  readonly authenticate: (
    headers: Headers,
  ) => { ok: true; key: { id: string } } | { ok: false; refusal: Refusal }
  readonly refuse: (refusal: Refusal, requestId: string) => Response
}

export function ownCallsController(calls: CallStore, { authenticate, refuse }: Holders) {
  return new Elysia({ name: 'own-calls', detail: { tags: ['Own usage'] } }).get(
    '/me/calls/:id',
    ({ params: { id }, request }) => {
      const { requestId } = senderOf(request)
      const holder = authenticate(request.headers)
      if (!holder.ok) return refuse(holder.refusal, requestId)
      const entry = find(calls, id)
      // Somebody else's call and none at all are told apart by nothing.
      if (!entry || entry.keyId !== holder.key.id) {
        const message = 'This key has made no such call, or its entry has been pruned.'
        return refuse({ code: 'call_not_found', message }, requestId)
      }
      return showCall(entry)
    },
    {
      // Not checked here: the holder's key comes first, and what is no id names no call.
      params: t.Object({ id: t.String({ examples: ['call_258'] }) }),
      query: noQuery,
      response: { 200: Call },
      detail: {
        operationId: 'getOwnCall',
        summary: 'What did this call cost, and why?',
        description:
          'The ledger entry behind the `X-Quota-Charge-Id` of an answer, for the key that made the call. Costs nothing.',
        ...refuses(
          'missing_api_key', 'ambiguous_api_key', 'invalid_api_key', 'api_key_disabled', 'api_key_expired',
          'call_not_found', 'storage_unavailable', 'internal',
        ), // biome-ignore format: one list
      },
    },
  )
}
