/** `GET /metrics`, for Prometheus. */
import { Elysia } from 'elysia'
import { noQuery } from '../../http/fields/query.ts'
import { adminGuard } from '../auth/index.ts'
import type { CheckToken } from '../auth/service.ts'
import type { Metrics } from './service.ts'

export function metricsController(metrics: Metrics, check: CheckToken) {
  return new Elysia({ name: 'metrics' }).use(adminGuard(check)).get(
    '/metrics',
    async () => {
      const { text, contentType } = await metrics.read()
      return new Response(text, { headers: { 'content-type': contentType } })
    },
    // Its form is Prometheus's own, which no schema describes.
    { query: noQuery, detail: { hide: true } },
  )
}
