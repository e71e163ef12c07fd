/** `/admin/calls`: the ledger, for the operator. */
import { Elysia } from 'elysia'
import { type CallEntry, type CallReader, seqOf } from '../../domain/call.ts'
import { AppError } from '../../errors.ts'
import { noQuery } from '../../http/fields/query.ts'
import { readRange } from '../../http/fields/range.ts'
import { refuses } from '../../http/openapi/errors.ts'
import { readPage, showPageUpTo } from '../../http/pagination.ts'
import { adminGuard } from '../auth/index.ts'
import type { CheckToken } from '../auth/service.ts'
import { Call, CallList, listQuery, params, readStatus } from './model.ts'
import { showCall } from './show.ts'

/** `keySeqOf` throws `key_not_found`. */
export function callsController(
  calls: CallReader,
  keySeqOf: (idOrKey: string) => Promise<number>,
  check: CheckToken,
  currency: () => string,
) {
  return new Elysia({ name: 'calls', prefix: '/admin/calls', detail: { tags: ['Usage'] } })
    .use(adminGuard(check))
    .get(
      '',
      async ({ query }) => {
        const keySeq = query.key === undefined ? undefined : await keySeqOf(query.key)
        const { outcome, upstream, model } = query
        const given = {
          ...readRange(query),
          status: readStatus(query.status),
          outcome,
          upstream,
          model,
        }
        const page = await calls.list({ keySeq, ...given }, readPage(query))
        return { ...showPageUpTo(page.calls, page.next, showCall), currency: currency() }
      },
      {
        query: listQuery,
        response: { 200: CallList },
        detail: {
          operationId: 'listCalls',
          summary: 'List calls, newest first',
          description:
            'The ledger: one entry per call that was let through, written when it ends and kept as long as CALLS_RETENTION_DAYS says. A page may have fewer calls than `limit`, even none, while `has_more` says that older ones are left to look through.',
          ...refuses('key_not_found', 'rate_limit_exceeded'),
        },
      },
    )
    .get('/:id', async ({ params: { id } }) => showCall(await find(calls, id)), {
      params,
      query: noQuery,
      response: { 200: Call },
      detail: {
        operationId: 'getCall',
        summary: 'Show a call',
        description: 'The ledger entry behind an `X-Quota-Charge-Id`.',
        ...refuses('call_not_found', 'rate_limit_exceeded'),
      },
    })
}

/** Throws `call_not_found`. */
async function find(calls: CallReader, id: string): Promise<CallEntry> {
  const seq = seqOf(id)
  const entry = seq === null ? null : await calls.find(seq)
  if (entry) return entry
  throw new AppError(
    'call_not_found',
    'There is no such call. It may have been pruned: see CALLS_RETENTION_DAYS.',
  )
}
