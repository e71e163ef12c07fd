/** What is done to replicas under load: they are killed at any moment, and paused, and now and then the database is killed. */
import type { Child, Start } from '../child.ts'
import { integerBetween, type Random } from '../plan.ts'
import { countHolds, countLost, untilBack } from './books.ts'
import type { Cluster } from './cluster.ts'

export type Damage = {
  readonly cluster: Cluster
  readonly url: string
  readonly random: Random
  readonly kills: number
  /** About how long they take. */
  readonly seconds: number
  /** A command that kills and starts the database, run by sh; null if that one is left alone. */
  readonly killDatabase: string | null
  readonly signal: AbortSignal
  /** How long a start takes, within which some kills come. */
  readonly startMs: number
  readonly onStart: (start: Start) => void
  readonly onDatabaseKill: () => void
}

/** One kill in five is followed by another during the start. */
const KILL_AGAIN = 0.2
/** So many kills of replicas to one of the database. */
const DATABASE_EVERY = 4
/** A database that recovers from a crash takes its time. */
const BACK_MS_MAX = 120_000

/** A lease is 15 s, and clients wait 30 s for an answer. */
const PAUSE_MS_MAX = 25_000

/** Once a lease has run out, calls are ended every 3 s; the rest is for a busy machine. */
const RESOLVED_MS_MAX = 20_000
const POLL_MS = 250

/**
 * Kills one after another, each of which starts again at once, and ends its own calls. Then one stays away, and another is
 * paused for longer than its lease, so that the rest have to end their calls. Resolves with the one that is away.
 */
export async function damage(plan: Damage): Promise<Child | null> {
  const { cluster, url, random, kills, killDatabase } = plan
  const { children } = cluster
  const away = kills > 0 && children.length > 1 ? (children[0] ?? null) : null
  const paused = away && children.length > 2 ? (children[1] ?? null) : null
  if (killDatabase !== null) await restart(plan, killDatabase)
  await killAndStart(plan, away ? kills - 1 : kills)
  if (!away) return null
  const lost = await countLost(url)
  const goOn = paused?.pause()
  await Bun.sleep(random() * plan.startMs)
  await away.kill()
  try {
    const deadline = performance.now() + PAUSE_MS_MAX
    const wanted = lost + (goOn ? 2 : 1)
    while (performance.now() < deadline && (await countLost(url)) < wanted) await Bun.sleep(POLL_MS)
  } finally {
    goOn?.()
  }
  return away
}

async function killAndStart(plan: Damage, kills: number): Promise<void> {
  const { cluster, random, seconds, killDatabase, startMs, onStart } = plan
  const { children } = cluster
  const pauseMs = (2 * seconds * 1000) / Math.max(1, kills)
  for (let round = 1; cluster.killed().size < kills; round++) {
    await Bun.sleep(random() * pauseMs)
    cluster.check()
    const child = children[integerBetween(random, 0, children.length - 1)]
    if (!child) return
    await child.kill()
    if (cluster.killed().size < kills && random() < KILL_AGAIN)
      await child.startAndKill(random() * startMs)
    onStart(await child.start())
    if (killDatabase !== null && round % DATABASE_EVERY === 0) await restart(plan, killDatabase)
  }
}

async function restart({ url, signal, onDatabaseKill }: Damage, command: string): Promise<void> {
  const child = Bun.spawn(['sh', '-c', command], {
    stdin: 'ignore',
    stdout: 'ignore',
    stderr: 'ignore',
    signal,
  })
  const code = await child.exited
  if (code !== 0) throw new Error(`the command that kills the database ended with code ${code}`)
  onDatabaseKill()
  await untilBack(url, BACK_MS_MAX)
}

/** Waits until nothing is in flight: the calls of replicas that are away end when their leases have. What is left then stays. */
export async function untilResolved(url: string): Promise<void> {
  const deadline = performance.now() + RESOLVED_MS_MAX
  while ((await countHolds(url)) > 0 && performance.now() < deadline) await Bun.sleep(POLL_MS)
}
