/**
 * `quota-proxy status`: who serves the database, and what it is. It says what is, and does not judge: that is for "doctor".
 */
import type { Answer } from '../api.ts'
import type { CliCommand } from '../command.ts'
import { bytes, count, time } from '../output/format.ts'
import { leftOutNote, renderMembers, wrapped } from '../output/lines.ts'
import { type Column, layTable } from '../output/table.ts'

type Status = Answer<'GET /admin/replicas'>
type Replica = Status['data'][number]
type Database = Status['database']

export function addStatus(program: CliCommand): void {
  program
    .command('status')
    .summary('list the servers of the database, and say what it is')
    .description(
      'Which processes serve the database, since when, what is left of their leases, and how many calls they have in flight; which ended within the last day; and the schema, the version and the clock of the database. An asterisk marks the one that answers.',
    )
    .json()
    .usesApi(async ({ api, show }) => {
      const answer = await api.ask('GET /admin/replicas', {})
      const { transport } = await api.admin()
      // Where no server runs here, this command answers itself, and serves nobody.
      const data = answer.data.filter(({ here }) => !here || transport !== 'process')
      await show({ ...answer, data }, render)
    })
    .examples(
      'quota-proxy status',
      'quota-proxy status --url https://proxy.example --token-file token.txt --json',
    )
}

async function render({ data, database }: Status, width: number | undefined) {
  if (database.clock_ahead_ms === null) return single(database, data[0], width)
  const about = renderMembers(describe(database, data), width)
  if (data.length === 0) return `${about}\n${NONE}`
  const { text, leftOut } = await layTable(COLUMNS, data, width)
  return { text: `${about}\n${text}`, note: leftOutNote(leftOut, width) }
}

const NONE = 'No server serves it.\n'

/** Of a file, which one process serves. */
function single(
  { engine, version, bytes: size }: Database,
  server: Replica | undefined,
  width?: number,
) {
  const serving = server
    ? `one server, ${server.version}, since ${time(server.started_at)} UTC, ${calls(server.calls_in_flight)}`
    : 'no server'
  return `${wrapped(`${engine} ${version}, ${bytes(size)}: ${serving}`, width)}\n`
}

function describe({ schema, ...database }: Database, data: readonly Replica[]) {
  const { engine, version, bytes: size, clock_ahead_ms, orphans } = database
  const serving = data.filter(({ state }) => state === 'serving').length
  const lost = data.filter(({ state }) => state === 'lost').length
  const gone = lost > 0 ? `; ${count(lost)} lost within a day` : ''
  return [
    ['database', `${engine} ${version}, ${bytes(size)}`],
    [
      'schema',
      `${schema.newest}, ${count(schema.applied)} migrations; a server must know ${schema.oldest}`,
    ],
    ['clock', clock(clock_ahead_ms ?? 0)],
    ['orphans', orphans === 0 ? 'none' : `${calls(orphans)} of servers that have ended`],
    ['servers', `${count(serving)}${gone}`],
  ] as const
}

function calls(n: number): string {
  return n === 1 ? '1 call in flight' : `${count(n)} calls in flight`
}

function clock(aheadMs: number): string {
  const side = aheadMs < 0 ? 'behind' : 'ahead of'
  return `${count(Math.abs(aheadMs))} ms ${side} that of the server asked`
}

const COLUMNS: readonly Column<Replica>[] = [
  { head: 'SERVER', of: ({ id, here }) => (here ? `${id} *` : id), wraps: 20 },
  { head: 'VERSION', of: ({ version }) => version, drops: 1 },
  { head: 'STATE', of: ({ state }) => state },
  { head: 'STARTED (UTC)', of: ({ started_at }) => time(started_at), drops: 3 },
  { head: 'SEEN (UTC)', of: ({ seen_at }) => time(seen_at) },
  { head: 'LEASE', of: ({ lease_seconds: s }) => (s === null ? null : `${Math.round(s)} s`) },
  { head: 'CALLS', of: ({ calls_in_flight }) => calls_in_flight, right: true },
  { head: 'BATCH', of: ({ batch }) => batch, right: true, drops: 2 },
]
