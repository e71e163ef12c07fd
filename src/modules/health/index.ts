/** Probes: is the process alive, and should it get work? */
import { Elysia } from 'elysia'
import type { CircuitView } from '../../domain/upstream.ts'
import { refuseRepeated } from '../../http/fields/query.ts'
import { refuses } from '../../http/openapi/errors.ts'
import { Alive, NotReady, type Readiness, Ready, readyQuery } from './model.ts'

export function healthController(
  readiness: () => Readiness,
  upstreams: () => readonly CircuitView[],
) {
  return new Elysia({ name: 'health', detail: { tags: ['Health'], security: [] } })
    .get('/healthz', () => ({ ok: true }) as const, {
      response: { 200: Alive },
      detail: {
        operationId: 'getHealth',
        summary: 'Is the process alive?',
        description:
          'Answers as long as the process can answer at all. Costs nothing and needs no key.',
      },
    })
    .get(
      '/readyz',
      ({ query: { verbose }, request, set }) => {
        refuseRepeated(request)
        const state = readiness()
        if (state !== 'ready') set.status = 503
        const more = verbose === undefined ? {} : { upstreams: [...upstreams()] }
        return { ok: state === 'ready', state, ...more }
      },
      {
        query: readyQuery,
        response: { 200: Ready, 503: NotReady },
        detail: {
          operationId: 'getReadiness',
          summary: 'Should it be sent work?',
          description:
            '503 while the server is stopping (`draining`) or its database fails (`storage_unavailable`). An upstream that fails does not make the server unready; `?verbose` shows it.',
          ...refuses('validation_failed'),
        },
      },
    )
}
