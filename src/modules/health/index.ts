/** Probes: is the process alive, and should it be sent work? */
import { Elysia, t } from 'elysia'
import type { CircuitView } from '../../domain/upstream.ts'
import { refuseRepeated } from '../../http/fields/query.ts'
import { refuses } from '../../http/openapi/errors.ts'

export type Readiness = 'ready' | 'draining' | 'storage_unavailable'

const circuit = t.Union([t.Literal('closed'), t.Literal('open'), t.Literal('half_open')])

const Ready = t.Object({
  ok: t.Boolean(),
  state: t.String(),
  upstreams: t.Optional(t.Array(t.Object({ name: t.String(), circuit }))),
})

const query = t.Object(
  {
    verbose: t.Optional(
      t.String({
        pattern: '^(?:true|1)?$',
        error: 'must be true, 1 or empty',
        description: 'Adds the upstreams and whether they are being called.',
      }),
    ),
  },
  { additionalProperties: false },
)

export function healthController(
  readiness: () => Readiness,
  upstreams: () => readonly CircuitView[],
) {
  return new Elysia({ name: 'health', detail: { tags: ['Health'], security: [] } })
    .get('/healthz', () => ({ ok: true }) as const, {
      response: { 200: t.Object({ ok: t.Literal(true) }, { examples: [{ ok: true }] }) },
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
        query,
        response: {
          200: { ...Ready, examples: [{ ok: true, state: 'ready' }] },
          503: { ...Ready, examples: [{ ok: false, state: 'draining' }] },
        },
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
