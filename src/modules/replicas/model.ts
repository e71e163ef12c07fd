/** Who serves the database, and the database, as the admin API shows them. */
import { type Static, t } from 'elysia'
import { REPLICA_STATES, type ReplicaView, type StoreView } from '../../domain/store.ts'
import { showInstant, shownInstant, shownInstantOrNull } from '../../http/fields/instant.ts'
import { integer } from '../../http/fields/integer.ts'
import { orNull } from '../../http/fields/nullable.ts'
import { formatInstant } from '../../lib/clock.ts'

const EXAMPLE = {
  id: 'web-1:/var/lib/quota-proxy',
  version: '0.2.0',
  state: 'serving' as const,
  here: true,
  started_at: '2026-11-27T09:00:00Z',
  seen_at: '2026-11-28T16:20:31.250Z',
  ended_at: null,
  lease_seconds: 14.2,
  batch: 81204,
  calls_in_flight: 12,
}

const Replica = t.Object(
  {
    id: t.String({ description: 'Its host and its data directory.' }),
    version: t.String(),
    state: t.UnionEnum([...REPLICA_STATES], {
      description:
        'Whether it serves. One that stopped, or was replaced by another in its place, has left; one whose lease ran out is lost, and the others end its calls.',
    }),
    here: t.Boolean({ description: 'Whether it is the one that answers.' }),
    started_at: shownInstant,
    seen_at: shownInstant,
    ended_at: shownInstantOrNull,
    lease_seconds: orNull(t.Number(), {
      description: 'What is left of its lease; null for one that has ended, and on SQLite.',
    }),
    batch: orNull(integer(), {
      description: 'The number of the latest batch of the ledger that it wrote; null on SQLite.',
    }),
    calls_in_flight: integer({ description: 'Calls that it has reserved units for.' }),
  },
  { examples: [EXAMPLE] },
)

const Database = t.Object(
  {
    engine: t.String(),
    version: t.String({ description: 'Of the engine.' }),
    bytes: integer({ description: 'Its size.' }),
    schema: t.Object({
      applied: integer({ description: 'How many migrations were applied.' }),
      newest: t.String({ description: 'The latest of them.' }),
      oldest: t.String({
        description: 'The migration that a binary must know at least to serve the database.',
      }),
    }),
    clock_ahead_ms: orNull(integer(), {
      description:
        'What its clock is ahead of that of the server that answers; null where both are one.',
    }),
    orphans: integer({
      description:
        'Calls in flight of replicas that have ended; any replica that serves ends them within seconds.',
    }),
  },
  { description: 'What they serve.' },
)

export const ReplicaList = t.Object(
  {
    object: t.Literal('list'),
    data: t.Array(Replica),
    has_more: t.Boolean(),
    next: t.Null(),
    database: Database,
  },
  {
    examples: [
      {
        object: 'list',
        data: [EXAMPLE],
        has_more: false,
        next: null,
        database: {
          engine: 'PostgreSQL',
          version: '18.1',
          bytes: 48_234_496,
          schema: { applied: 3, newest: '0002_storage', oldest: '0000_init' },
          clock_ahead_ms: 2,
          orphans: 0,
        },
      },
    ],
  },
)
export type ReplicaList = Static<typeof ReplicaList>

export function showReplicas({ replicas, clockAheadMs, schema, ...store }: StoreView): ReplicaList {
  const { engine, version, bytes, orphans } = store
  return {
    object: 'list',
    data: replicas.map(showReplica),
    has_more: false,
    next: null,
    database: {
      ...{ engine, version, bytes, schema: { ...schema } },
      ...{ clock_ahead_ms: clockAheadMs, orphans },
    },
  }
}

function showReplica({
  id,
  version,
  state,
  here,
  ...replica
}: ReplicaView): Static<typeof Replica> {
  const { startedAt, seenAt, endedAt, leaseMs, batch, holds } = replica
  return {
    ...{ id, version, state, here },
    started_at: formatInstant(startedAt),
    seen_at: formatInstant(seenAt),
    ended_at: showInstant(endedAt),
    lease_seconds: leaseMs === null ? null : Math.round(leaseMs / 100) / 10,
    batch,
    calls_in_flight: holds,
  }
}
