/** What is done to replicas under load: any of them is killed at any moment, and now and then the database. */
import type { Child, Start } from '../child.ts'
import { integerBetween, type Random } from '../plan.ts'
import { countHolds, untilBack } from './books.ts'
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

/** A lease is 15 s, and is looked after every 3 s; the rest is for a busy machine. */
const RESOLVED_MS_MAX = 45_000
const POLL_MS = 250

/**
 * The first that is killed stays away, so that the others have to end its calls when its lease has run out; the rest start
 * again at once, and end their own. Resolves with the one that is away.
 */
export async function damage(plan: Damage): Promise<Child | null> {
  const { cluster, random, kills, seconds, killDatabase, onStart } = plan
  const { children } = cluster
  const pauseMs = (2 * seconds * 1000) / Math.max(1, kills)
  const away = kills > 0 && children.length > 1 ? (children[0] ?? null) : null
  const others = children.filter((child) => child !== away)
  await Bun.sleep((random() * pauseMs) / 2)
  await away?.kill()
  if (killDatabase !== null) await restart(plan, killDatabase)
  let round = 0
  while (cluster.killed().size < kills) {
    await Bun.sleep(random() * pauseMs)
    cluster.check()
    const child = others[integerBetween(random, 0, others.length - 1)]
    if (!child) break
    await child.kill()
    if (cluster.killed().size < kills && random() < KILL_AGAIN)
      await child.startAndKill(random() * plan.startMs)
    onStart(await child.start())
    if (killDatabase !== null && ++round % DATABASE_EVERY === 0) await restart(plan, killDatabase)
  }
  return away
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
