/**
 * The experiment with replicas, from the first key to the verdict, on an empty database that is empty again at the end unless
 * something is wrong. However it ends, it leaves no process behind.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createAdmin } from '../admin.ts'
import { type Child, type Start, send } from '../child.ts'
import { type Books, createJournal, type Journal } from '../evidence.ts'
import { drain, exhaust, type Load, underLoad } from '../load.ts'
import { planStages, seededRandom } from '../plan.ts'
import { type Report, reportOf } from '../report.ts'
import { environment, type SelftestOptions } from '../run.ts'
import { startUpstream } from '../upstream.ts'
import { dropAll, readBooks, relationsIn } from './books.ts'
import { type Cluster, createCluster } from './cluster.ts'
import { damage, untilResolved } from './kill.ts'

export type ReplicasOptions = SelftestOptions & {
  /** A `postgres://` URL. */
  readonly url: string
  readonly replicas: number
  readonly seconds: number
  readonly killDatabase: string | null
}

/** So many already share every batch, and leave the machine time to start the next life. */
const KILL_CLIENTS_MAX = 32
/** The units of a replica that stays away are reserved for longer than any client would wait. */
const RESERVED_TRIES_MAX = 5

const PROGRESS_MS = 250
const READY_MS_MAX = 30_000
const READY_POLL_MS = 50

/** Why the experiment cannot begin; null if it can. Changes nothing. */
export async function obstacle(url: string): Promise<string | null> {
  try {
    const found = await relationsIn(url)
    if (found.length === 0) return null
    return `The database is not empty: it has ${found.length} tables and sequences, such as ${found[0]}. Make an empty one for the test, with "CREATE DATABASE selftest".`
  } catch (error) {
    return `The database cannot be used: ${message(error)}`
  }
}

/** Rejects only if it was ended, or cannot begin. */
export async function runReplicas(options: ReplicasOptions): Promise<Report> {
  const startedMs = performance.now()
  const { url, seed, signal, replicas } = options
  const directory = mkdtempSync(join(tmpdir(), 'quota-proxy-selftest-'))
  const upstream = await startUpstream()
  const { token, cluster } = servers(options, directory, upstream.host)
  const journal = createJournal()
  const seen = { starts: [] as Start[], databaseKills: 0 }
  const report = () =>
    options.onProgress({ calls: journal.calls.length, kills: cluster.killed().size })
  const progress = setInterval(report, PROGRESS_MS)
  const end = () => void cluster.close()
  signal.addEventListener('abort', end)

  let kept = false
  try {
    const random = seededRandom(seed)
    const load = { target: cluster, admin: createAdmin(cluster, token), journal, random }
    const full = { ...load, upstreamHost: upstream.host, reservedTriesMax: RESERVED_TRIES_MAX }
    const failure = await perform(options, cluster, full, seen)
    await cluster.close()
    signal.throwIfAborted()
    const verdict = reportOf({
      evidence: {
        ...evidenceOf(journal),
        ...{ hits: upstream.hits, killed: cluster.killed(), holdsAtStart: [] },
        databaseKilled: seen.databaseKills > 0,
        books: await openBooks(url),
      },
      startsMs: seen.starts.slice(replicas).map(({ ms }) => ms),
      ...{ failure, seed, directory, ms: performance.now() - startedMs },
      shared: { replicas, database_kills: seen.databaseKills },
    })
    kept = !verdict.ok
    return verdict
  } finally {
    clearInterval(progress)
    signal.removeEventListener('abort', end)
    await cluster.close()
    upstream.close()
    if (!kept) {
      rmSync(directory, { recursive: true, force: true })
      await dropAll(url)
    }
  }
}

/** Nothing is shared but the database and what all replicas of an installation have in common. */
function servers({ command, url, replicas }: ReplicasOptions, directory: string, host: string) {
  const token = crypto.randomUUID()
  const secret = Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString('base64')
  const env = (place: number) => ({
    ...environment(join(directory, `data-${place}`), token, host),
    ...{ DATABASE_URL: url, SECRET_KEY: secret },
  })
  return { token, cluster: createCluster({ command, replicas, env, directory }) }
}

function evidenceOf({ keys, calls, reads }: Journal) {
  return { keys, calls, reads }
}

/** The steps in order, as far as they went. Resolves with why they went no further; null at the end of all. */
async function perform(
  options: ReplicasOptions,
  cluster: Cluster,
  load: Load,
  seen: { readonly starts: Start[]; databaseKills: number },
): Promise<string | null> {
  const { random } = load
  const { url, kills, keys, seconds, killDatabase, signal } = options
  const onStart = (start: Start) => void seen.starts.push(start)
  const onDatabaseKill = () => void seen.databaseKills++
  try {
    // At once, as an orchestrator would, on a database without tables.
    for (const start of await Promise.all(cluster.children.map((child) => child.start())))
      onStart(start)
    for (const stage of planStages(options, random)) await exhaust(load, stage)
    const clients = Math.min(options.clients, KILL_CLIENTS_MAX)
    const startMs = seen.starts[0]?.ms ?? 0
    const plan = { cluster, url, random, kills, seconds, killDatabase, signal, startMs }
    let away: Child | null = null
    await underLoad(load, { clients, keys }, async () => {
      away = await damage({ ...plan, onStart, onDatabaseKill })
    })
    await untilResolved(url)
    await (away as Child | null)?.start().then(onStart)
    await untilReady(cluster)
    await drain(load, clients)
    await cluster.stop()
    return null
  } catch (error) {
    return message(error)
  }
}

/** A replica that has just lost its database refuses calls until it has tried it again. */
async function untilReady({ children }: Cluster): Promise<void> {
  const deadline = performance.now() + READY_MS_MAX
  for (const child of children) {
    const { url } = await child.live()
    while ((await send(`${url}/readyz`)).status !== 200) {
      if (performance.now() > deadline) throw new Error(`${url} was not ready again in time`)
      await Bun.sleep(READY_POLL_MS)
    }
  }
}

/** Books that cannot be read are damaged, which is a finding and not an end. */
async function openBooks(url: string): Promise<Books> {
  try {
    return await readBooks(url)
  } catch (error) {
    return { entries: new Map(), accounts: new Map(), integrity: message(error) }
  }
}

function message(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
