/** What the probes take and answer. */
import { t } from 'elysia'
import { CIRCUITS } from '../../domain/upstream.ts'
import { oneOf } from '../../http/fields/choice.ts'

export type Readiness = 'ready' | 'draining' | 'storage_unavailable'

export const Alive = t.Object({ ok: t.Literal(true) }, { examples: [{ ok: true }] })

const State = t.Object({
  ok: t.Boolean(),
  state: t.String(),
  upstreams: t.Optional(t.Array(t.Object({ name: t.String(), circuit: oneOf(CIRCUITS) }))),
})

export const Ready = { ...State, examples: [{ ok: true, state: 'ready' }] }
export const NotReady = { ...State, examples: [{ ok: false, state: 'draining' }] }

export const readyQuery = t.Object(
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
