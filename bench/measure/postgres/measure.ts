/**
 * What a call costs on PostgreSQL: the same calls to a server on SQLite, to one replica and to two, with one hot key, a
 * hundred and ten thousand. The database is on the same machine and takes from the same processors.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { sql, startPostgres } from '../../../test/support/postgres.ts'
import { BODY } from '../../load/traffic.ts'
import { measure, type Traffic } from '../../load/wrk.ts'
import { cpuUs } from '../../process-stats.ts'
import { spread } from '../../report/statistics.ts'
import type { Bench, Section } from '../../section.ts'
import type { Server } from '../../workspace.ts'
import { type Edge, type PostgresSample, type Row, report, type Single } from './report.ts'
import { makeKeys, type Site, startSite } from './site.ts'

const CONNECTIONS = 64
const KEYS = 10_000
/** What the key is given that two replicas exhaust. */
const EDGE = 3_000

export async function measurePostgres(bench: Bench): Promise<Section> {
  const database = await startPostgres({ fsync: 'on', synchronous_commit: 'on' })
  const many = bench.settings.rounds > 2 ? KEYS : KEYS / 10
  const sqlite = await startSite(bench, 'sqlite', null, many)
  const postgres = await startSite(bench, 'postgres', database, many)
  const rows = rowsOf(sqlite, postgres)
  for (let round = 0; round <= bench.settings.rounds; round++) {
    for (const row of round % 2 === 0 ? rows : rows.toReversed()) {
      const sample = await take(bench, row)
      bench.say(`  round ${round}  ${row.name.padEnd(40)} ${sample.cpuUs.toFixed(1)} µs`)
      // The first is to warm up.
      if (round > 0) row.samples.push(sample)
    }
  }
  const single = await singleCalls(bench, sqlite, postgres)
  const edge = await exhaust(bench, postgres)
  for (const server of [...sqlite.servers, ...postgres.servers]) await server.stop()
  await database.stop()
  return report(rows, single, edge)
}

function rowsOf(sqlite: Site, postgres: Site): Row[] {
  const row = (name: string, site: Site, keys: number, path: string, to: string, replicas = 1) => ({
    ...{ name, site, keys, path, to, samples: [] },
    servers: site.servers.slice(0, replicas),
  })
  return [
    row('SQLite, 100 keys', sqlite, 100, sqlite.plain, 'SQLite, 100 keys'),
    row('PostgreSQL, 100 keys', postgres, 100, postgres.plain, 'SQLite, 100 keys'),
    row('SQLite, one hot key', sqlite, 1, sqlite.plain, 'SQLite, one hot key'),
    row('PostgreSQL, one hot key', postgres, 1, postgres.plain, 'SQLite, one hot key'),
    row('SQLite, 10,000 keys', sqlite, KEYS, sqlite.plain, 'SQLite, 10,000 keys'),
    row('PostgreSQL, 10,000 keys', postgres, KEYS, postgres.plain, 'SQLite, 10,000 keys'),
    row('SQLite, tokens counted', sqlite, 100, sqlite.tokens, 'SQLite, tokens counted'),
    row('PostgreSQL, tokens counted', postgres, 100, postgres.tokens, 'SQLite, tokens counted'),
    row('two replicas, 100 keys', postgres, 100, postgres.plain, 'SQLite, 100 keys', 2),
    row('two replicas, one hot key', postgres, 1, postgres.plain, 'SQLite, one hot key', 2),
  ]
}

async function take(bench: Bench, { site, servers, keys, path }: Row): Promise<PostgresSample> {
  const { workspace, settings } = bench
  const traffic = trafficOf(bench, site, keys, path)
  const load = { connections: CONNECTIONS / servers.length, seconds: settings.seconds }
  const [before, batchesBefore] = [databaseUs(site), await batches(site)]
  const samples = await Promise.all(servers.map((one) => measure(workspace, one, traffic, load)))
  const perSecond = sum(samples.map((sample) => sample.perSecond))
  const calls = perSecond * settings.seconds
  return {
    cpuUs: sum(samples.map((sample) => (sample.cpuUs * sample.perSecond) / perSecond)),
    perSecond,
    p50Ms: Math.max(...samples.map(({ p50Ms }) => p50Ms)),
    p99Ms: Math.max(...samples.map(({ p99Ms }) => p99Ms)),
    databaseUs: (databaseUs(site) - before) / calls,
    transactions: ((await batches(site)) - batchesBefore) / calls,
  }
}

function trafficOf({ workspace }: Bench, site: Site, keys: number, path: string): Traffic {
  const keysFile = join(
    workspace.directory,
    `keys-${site.database ? 'postgres' : 'sqlite'}-${keys}`,
  )
  writeFileSync(keysFile, site.keys.slice(0, keys).join('\n'))
  return { path, body: BODY, keysFile }
}

/** The clients of a server on its own have no other to wait for. */
async function singleCalls(bench: Bench, sqlite: Site, postgres: Site): Promise<Single> {
  const { workspace, settings } = bench
  const load = { connections: 1, seconds: settings.seconds }
  const take = (site: Site) =>
    measure(workspace, firstOf(site), trafficOf(bench, site, 1, site.plain), load)
  const [one, other] = [await take(sqlite), await take(postgres)]
  return { sqlite: one, postgres: other, roundTripMs: await roundTripMs(postgres) }
}

/** Of a question and its answer on one connection; the median of many. */
async function roundTripMs({ url }: Site): Promise<number> {
  const { Connection } = await import('../../../src/db/postgres/connection.ts')
  const { parsePostgresUrl } = await import('../../../src/domain/postgres-url.ts')
  const parsed = parsePostgresUrl(url ?? '')
  if (!parsed.ok) throw new Error(parsed.problem)
  const connection = new Connection(parsed.addresses)
  const times: number[] = []
  for (let n = 0; n < 500; n++) {
    const startedMs = performance.now()
    await connection.query('SELECT 1')
    times.push(performance.now() - startedMs)
  }
  await connection.close()
  return spread(times).median
}

/** Calls of one key through both replicas, until neither grants any more. */
async function exhaust(bench: Bench, site: Site): Promise<Edge> {
  bench.say(`  two replicas exhaust a key of ${EDGE}`)
  const [key = ''] = await makeKeys(firstOf(site), site.token, 1, EDGE)
  let granted = 0
  const client = async ({ url }: Server) => {
    for (;;) {
      const headers = { 'x-api-key': key, 'content-type': 'application/json' }
      const response = await fetch(url + site.plain, { method: 'POST', headers, body: BODY })
      await response.arrayBuffer()
      if (response.ok) granted++
      else if (response.headers.get('retry-after') === null) return
    }
  }
  const clients = site.servers.flatMap((server) => Array.from({ length: 32 }, () => client(server)))
  await Promise.all(clients)
  return { amount: EDGE, granted }
}

function firstOf({ servers: [first] }: Site): Server {
  if (!first) throw new Error('no server was started')
  return first
}

function databaseUs({ database }: Site): number {
  return database ? cpuUs(database.pid) : 0
}

async function batches({ url }: Site): Promise<number> {
  if (url === null) return 0
  const [row] = await sql<{ batches: string }>(url, 'SELECT sum(batch) AS batches FROM replicas')
  return Number(row?.batches)
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}
