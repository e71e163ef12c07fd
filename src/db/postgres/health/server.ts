/** How the server is set, who serves the database with us, and whether it can clean up behind us. */
import { sql } from 'drizzle-orm'
import type { Finding } from '../../../domain/store.ts'
import { VERSION_MIN } from '../connect/start-problem.ts'
import type { Tx } from '../transact.ts'

/** Nothing of ours is idle in a transaction for longer than a blink; a day's dump is not idle. */
const IDLE_S_MAX = 10 * 60

/** A lease that ran out so long ago should have been noticed by any other replica. */
const LEASE_LATE_S = 60

/** Longer lists say how many more there are. */
const LISTED_MAX = 8

type Settings = {
  readonly version: string
  readonly version_num: number
  readonly synchronous_commit: string
  readonly fsync: string
  readonly full_page_writes: string
}

export async function server(tx: Tx): Promise<Finding> {
  const { rows } = await tx.execute<Settings>(sql`
    SELECT current_setting('server_version') AS version, current_setting('server_version_num')::integer AS version_num,
      current_setting('synchronous_commit') AS synchronous_commit, current_setting('fsync') AS fsync,
      current_setting('full_page_writes') AS full_page_writes`)
  const [settings] = rows
  if (!settings) return { check: 'server', ok: false, detail: 'it does not say how it is set' }
  const { version, version_num, synchronous_commit, fsync, full_page_writes } = settings
  const problems = [
    ...(version_num < VERSION_MIN ? ['versions before 15 are not supported; upgrade it'] : []),
    ...(fsync === 'off'
      ? ['fsync is off, so a crash of its machine may damage the database; set fsync = on']
      : []),
    ...(synchronous_commit === 'off'
      ? ['synchronous_commit is off, so a crash may undo what was answered; set it to on']
      : []),
  ]
  const set = `synchronous_commit ${synchronous_commit}, fsync ${fsync}, full_page_writes ${full_page_writes}`
  const detail = `PostgreSQL ${version}; ${problems.join('; ') || set}`
  return { check: 'server', ok: problems.length === 0, detail }
}

type ReplicaRow = {
  readonly id: string
  readonly version: string
  readonly lease_s: number
  readonly up_s: number
}

export async function replicas(tx: Tx): Promise<Finding> {
  const { rows } = await tx.execute<ReplicaRow>(sql`
    WITH clock AS (SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now)
    SELECT id, version, (lease_until - now) / 1000 AS lease_s, (now - started_at) / 1000 AS up_s
    FROM replicas, clock WHERE ended_at IS NULL ORDER BY id, seq`)
  const alive = rows.filter(({ lease_s }) => lease_s >= 0)
  const late = rows.filter(({ lease_s }) => lease_s < 0)
  // Where none is left, nobody could have noticed.
  const forgotten =
    alive.length === 0 ? 0 : late.filter(({ lease_s }) => lease_s < -LEASE_LATE_S).length
  const listed = [...alive, ...late].slice(0, LISTED_MAX).map(describe)
  const more = rows.length > LISTED_MAX ? [`and ${rows.length - LISTED_MAX} more`] : []
  const versions = new Set(alive.map(({ version }) => version)).size
  const notes = [
    `${alive.length} serve this database`,
    ...(versions > 1 ? ['they are of several versions'] : []),
    ...(forgotten > 0
      ? [`${forgotten} ran out of their lease and were not noticed; restart a replica`]
      : []),
    ...[...listed, ...more],
  ]
  return { check: 'replicas', ok: forgotten === 0, count: forgotten, detail: notes.join('; ') }
}

function describe({ id, version, lease_s, up_s }: ReplicaRow): string {
  const lease = lease_s >= 0 ? `lease ${lease_s} s` : `lease ran out ${-lease_s} s ago`
  return `${id} (${version}, up ${duration(up_s)}, ${lease})`
}

function duration(s: number): string {
  if (s < 120) return `${s} s`
  return s < 7_200 ? `${Math.round(s / 60)} min` : `${Math.round(s / 3600)} h`
}

type Dead = { readonly name: string; readonly dead: number; readonly live: number }

type Sessions = {
  readonly oldest_s: number
  readonly idle_s: number | null
  readonly idle_pid: number | null
  readonly idle_name: string | null
  readonly autovacuum: string
}

/** A session that stays in a transaction keeps every old version of every row. */
export async function bloat(tx: Tx, idleMaxS = IDLE_S_MAX): Promise<Finding> {
  const dead = (
    await tx.execute<Dead>(sql`
      SELECT relname AS name, n_dead_tup AS dead, n_live_tup AS live FROM pg_stat_user_tables
      WHERE schemaname = current_schema() AND relname IN ('counters', 'holds', 'calls') ORDER BY relname`)
  ).rows
  const { rows } = await tx.execute<Sessions>(sql`
    WITH others AS (
      SELECT pid, application_name, state, extract(epoch FROM now() - xact_start)::bigint AS age_s,
        extract(epoch FROM now() - state_change)::bigint AS idle_s
      FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND xact_start IS NOT NULL
    ), idle AS (SELECT * FROM others WHERE state LIKE 'idle in transaction%' ORDER BY idle_s DESC LIMIT 1)
    SELECT coalesce((SELECT max(age_s) FROM others), 0) AS oldest_s, idle.idle_s, idle.pid AS idle_pid,
      idle.application_name AS idle_name, current_setting('autovacuum') AS autovacuum
    FROM (SELECT) one LEFT JOIN idle ON true`)
  const [sessions] = rows
  const problems: string[] = []
  if (sessions?.autovacuum === 'off')
    problems.push('autovacuum is off, so tables grow without end; set autovacuum = on')
  if (sessions && sessions.idle_s !== null && sessions.idle_s > idleMaxS)
    problems.push(
      `the session ${sessions.idle_pid} (${sessions.idle_name || 'without a name'}) has been idle in a transaction for ${duration(sessions.idle_s)}, and nothing that was replaced since can be cleaned up; "SELECT pg_terminate_backend(${sessions.idle_pid})" ends it`,
    )
  const sizes = dead.map(
    (table) => `${table.name} ${table.dead} dead beside ${table.live} live rows`,
  )
  const oldest = `oldest transaction ${duration(sessions?.oldest_s ?? 0)}`
  const detail = [...problems, ...sizes, oldest].join('; ')
  return { check: 'bloat', ok: problems.length === 0, detail }
}
