/**
 * The guard of the admin API. Every controller under `/admin` uses it; it runs before a body is read or anything is
 * validated, so that a stranger learns nothing but that a token is needed.
 */
import { Elysia } from 'elysia'
import { refuseRepeated } from '../../http/fields/query.ts'
import { parseJsonBody } from '../../http/request/json-body.ts'
import type { CheckToken } from './service.ts'

export function adminGuard(check: CheckToken) {
  return (
    new Elysia({ name: 'admin-guard' })
      .onParse({ as: 'scoped' }, ({ request }) => {
        check(request)
        return parseJsonBody(request)
      })
      // Requests without a body are not parsed.
      .onTransform({ as: 'scoped' }, ({ request, set }) => {
        check(request)
        refuseRepeated(request)
        set.headers['cache-control'] = 'no-store'
      })
  )
}
