/**
 * A PostgreSQL database that is moved away. All is read in one transaction that only reads, so that it is what was there at one
 * moment.
 */
import type { DatabaseUrl } from '../../../domain/database-url.ts'
import { MoveRefused, type Numbers, type Source } from '../../move/ports.ts'
import { isBare, schemaProblem } from '../../move/schema.ts'
import { TABLES } from '../../move/tables.ts'
import { migrationsOfPostgres } from '../open.ts'
import { refuseServed, servedBy } from './leases.ts'
import { createPostgresReader } from './reader.ts'
import { Session } from './session.ts'

type PostgresUrl = Extract<DatabaseUrl, { kind: 'postgres' }>

/** With `isPlan` it is only looked at, and may be served meanwhile. */
export async function openPostgresSource(
  url: PostgresUrl,
  name: string,
  isPlan: boolean,
): Promise<Source> {
  const views = await migrationsOfPostgres(url)
  if (isBare(views))
    throw new MoveRefused(
      `There are no tables of quota-proxy in ${name}, so there is nothing to move.`,
    )
  const problem = schemaProblem(name, views, 'source')
  if (problem !== null) throw new MoveRefused(problem)
  const session = await Session.open(url.addresses)
  try {
    const served = await servedBy(session, name)
    if (served !== null && !isPlan) throw new MoveRefused(served)
    await beginReading(session)
    return { ...sourceOf(session, name, views[0]?.appliedAt ?? null), served }
  } catch (error) {
    await session.close()
    throw error
  }
}

function sourceOf(
  session: Session,
  name: string,
  appliedAt: number | null,
): Omit<Source, 'served'> {
  return {
    ...createPostgresReader(session),
    async identity() {
      const first = await session.value('SELECT id FROM keys ORDER BY seq LIMIT 1')
      return JSON.stringify(['PostgreSQL', appliedAt, first ?? null])
    },
    numbers: () => readNumbers(session),
    async renew() {
      await session.rows('COMMIT')
      await refuseServed(session, name)
      await beginReading(session)
    },
    close: () => session.close(),
  }
}

async function beginReading(session: Session): Promise<void> {
  await session.rows('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY')
  // For this transaction only: it waits while the target is written to.
  await session.rows('SET LOCAL statement_timeout = 0')
  await session.rows('SET LOCAL idle_in_transaction_session_timeout = 0')
}

/** Also those of rows that are gone. */
async function readNumbers(session: Session): Promise<Numbers> {
  const numbers: Record<string, number> = {}
  for (const { name, numbered } of TABLES) {
    if (numbered === null && name !== 'calls') continue
    const sequence =
      numbered === null ? "'call_seq'" : `pg_get_serial_sequence('${name}', '${numbered}')`
    const highest = `coalesce((SELECT max(${numbered ?? 'seq'}) FROM ${name}), 0)`
    const given = `coalesce(pg_sequence_last_value(${sequence}::regclass), 0)`
    numbers[name] = Number(await session.value(`SELECT greatest(${highest}, ${given})`))
  }
  return numbers
}
