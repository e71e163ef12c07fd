/**
 * The experiment from its first key to its verdict, on a database of its own in a temporary
 * directory that is removed unless something is wrong. However it ends, it leaves no process
 * behind.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createAdmin } from './admin.ts'
import { countHolds, readBooks } from './books.ts'
import { type Child, createChild, type Start } from './child.ts'
import { type Books, createJournal, type Journal } from './evidence.ts'
import { drain, exhaust, killAgain, type Load, underLoad } from './load.ts'
import { planStages, seededRandom } from './plan.ts'
import { type Report, reportOf } from './report.ts'
import { startUpstream } from './upstream.ts'

export type SelftestOptions = {
  /** How to run quota-proxy. */
  readonly command: readonly string[]
  readonly clients: number
  readonly kills: number
  /** About how many calls are made before the first kill. */
  readonly calls: number
  readonly keys: number
  readonly seed: number
  /** Ends it at once. */
  readonly signal: AbortSignal
  readonly onProgress: (progress: Progress) => void
}

export type Progress = { readonly calls: number; readonly kills: number }

/** So many already share every commit, and leave the machine time to start the next life. */
const KILL_CLIENTS_MAX = 32

const PROGRESS_MS = 250

/** Rejects only if it was ended, or cannot begin. */
export async function runSelftest(options: SelftestOptions): Promise<Report> {
  const startedMs = performance.now()
  const directory = mkdtempSync(join(tmpdir(), 'quota-proxy-selftest-'))
  const database = join(directory, 'data', 'quota.db')
  const token = crypto.randomUUID()
  const upstream = await startUpstream()
  const env = environment(join(directory, 'data'), token, upstream.host)
  const child = createChild({
    ...{ command: options.command, env, directory },
    countHolds: () => countHolds(database),
  })
  const journal = createJournal()
  const progress = setInterval(
    () => options.onProgress({ calls: journal.calls.length, kills: child.killed.size }),
    PROGRESS_MS,
  )
  const end = () => void child.close()
  options.signal.addEventListener('abort', end)

  let kept = false
  try {
    const steps = { child, journal, token, upstreamHost: upstream.host }
    const { starts, failure } = await perform(options, steps)
    await child.close()
    options.signal.throwIfAborted()

    const { keys, calls, reads } = journal
    const report = reportOf({
      evidence: {
        ...{ keys, calls, reads, hits: upstream.hits, killed: child.killed },
        holdsAtStart: starts.map(({ holds }) => holds),
        databaseKilled: false,
        books: openBooks(database),
      },
      startsMs: starts.slice(1).map(({ ms }) => ms),
      ...{ failure, seed: options.seed, directory },
      ms: performance.now() - startedMs,
    })
    kept = !report.ok
    return report
  } finally {
    clearInterval(progress)
    options.signal.removeEventListener('abort', end)
    await child.close()
    upstream.close()
    if (!kept) rmSync(directory, { recursive: true, force: true })
  }
}

type Steps = {
  readonly child: Child
  readonly journal: Journal
  readonly token: string
  readonly upstreamHost: string
}

/** The steps in order, as far as they went. */
async function perform(options: SelftestOptions, { child, journal, token, upstreamHost }: Steps) {
  const random = seededRandom(options.seed)
  const admin = createAdmin(child, token)
  const load: Load = { target: child, admin, journal, random, upstreamHost }
  const starts: Start[] = []
  try {
    const first = await child.start()
    starts.push(first)
    for (const stage of planStages(options, random)) await exhaust(load, stage)
    const clients = Math.min(options.clients, KILL_CLIENTS_MAX)
    const { kills, keys } = options
    const onStart = (start: Start) => void starts.push(start)
    await underLoad(load, { clients, keys }, () =>
      killAgain(load, { child, kills, startMs: first.ms, onStart }),
    )
    await drain(load, clients)
    await child.stop()
    return { starts, failure: null }
  } catch (error) {
    return { starts, failure: message(error) }
  }
}

/** Nothing of the operator's own settings, and nowhere to go but the upstream in this process. */
export function environment(dataDir: string, token: string, upstreamHost: string) {
  return {
    HOST: '127.0.0.1',
    PORT: '0',
    DATA_DIR: dataDir,
    ADMIN_TOKEN: token,
    LOG_FORMAT: 'json',
    PROXY_EGRESS: 'listed',
    PROXY_EGRESS_ALLOW: upstreamHost,
  }
}

/** Books that cannot be read are damaged, which is a finding and not an end. */
function openBooks(database: string): Books {
  try {
    return readBooks(database)
  } catch (error) {
    return { entries: new Map(), accounts: new Map(), integrity: message(error) }
  }
}

function message(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
