/**
 * Guards the admin API. Every controller under `/admin` uses it. It runs before a body is read or
 * anything is validated, so that a stranger learns only that a token is needed.
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
      // A request without a body is not parsed.
      .onTransform({ as: 'scoped' }, ({ request, set }) => {
        check(request)
        refuseRepeated(request)
        set.headers['cache-control'] = 'no-store'
      })
  )
}
