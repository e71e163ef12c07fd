/** Probes: is the process alive, and should it be sent work? */
import { Elysia, t } from 'elysia'

export type Readiness = 'ready' | 'draining' | 'storage_unavailable'

export function healthController(readiness: () => Readiness) {
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
      ({ set }) => {
        const state = readiness()
        if (state !== 'ready') set.status = 503
        return { ok: state === 'ready', state }
      },
      {
        response: {
          200: t.Object(
            { ok: t.Boolean(), state: t.String() },
            { examples: [{ ok: true, state: 'ready' }] },
          ),
          503: t.Object(
            { ok: t.Boolean(), state: t.String() },
            { examples: [{ ok: false, state: 'draining' }] },
          ),
        },
        detail: {
          operationId: 'getReadiness',
          summary: 'Should it be sent work?',
          description:
            '503 while the server is stopping (`draining`) or its database fails (`storage_unavailable`).',
        },
      },
    )
}
