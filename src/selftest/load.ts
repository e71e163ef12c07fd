/**
 * What the clients do: first every amount is asked for in full while nothing goes wrong, then the
 * server is killed again and again under load, then what is left is asked for, and every key once
 * more after its last unit.
 */
import type { Admin } from './admin.ts'
import type { Child, Start, Target } from './child.ts'
import { type Client, createClient } from './client.ts'
import type { Journal, TestedKey } from './evidence.ts'
import { integerBetween, type Random, type Stage } from './plan.ts'

export type Load = {
  readonly target: Target
  readonly admin: Admin
  readonly journal: Journal
  readonly random: Random
  readonly upstreamHost: string
  readonly reservedTriesMax?: number
}

/** Kills come at any moment of the first second: with full queues as well as with empty ones. */
const LIFE_MS_MAX = 1_000
/**
 * One kill in five is followed by another during the start, when the books are being put in order.
 */
const KILL_AGAIN = 0.2
/** Small, so that keys run out all the time. */
const AMOUNT_MAX = 200
/** The admin looks often, and revokes now and then. */
const WATCH_MS = 20
const REVOKE = 0.02

/** No kills: each key is asked for twice its amount, and exactly its amount must be granted. */
export async function exhaust(load: Load, { clients, amounts }: Stage): Promise<void> {
  const { random } = load
  const keys: TestedKey[] = []
  for (const amount of amounts) keys.push(await issue(load, amount))
  const left = keys.map((key) => ({ key, calls: 2 * key.amount }))
  await withClients(load, clients, async (client) => {
    for (;;) {
      const i = integerBetween(random, 0, left.length - 1)
      const next = left[i]
      if (!next) return
      if (--next.calls === 0) left.splice(i, 1)
      await client.call(next.key)
    }
  })
  for (const key of keys) key.drained = true
}

export type Kills = {
  readonly child: Child
  readonly kills: number
  /** How long a start takes, within which some kills come. */
  readonly startMs: number
  /** Told of each new start. */
  readonly onStart: (start: Start) => void
}

/** Clients call while something bad is done, for as long as that takes. */
export async function underLoad(
  load: Load,
  plan: { readonly clients: number; readonly keys: number },
  doBad: () => Promise<void>,
): Promise<void> {
  const slots = await createSlots(load, plan.keys)
  let over = false
  const calling = withClients(load, plan.clients, async (client) => {
    while (!over) {
      // One hot key and a long tail.
      const key = slots.at(load.random() ** 3)
      if (!key) return
      const { answer } = await client.call(key)
      if (answer?.code === 'insufficient_quota') await slots.replace(key)
    }
  })
  const killing = doBad().finally(() => {
    over = true
  })
  await all([calling, killing, watch(load, slots, () => over)])
}

/** Asks every key for what is left of it, and for more. */
export async function drain(load: Load, clients: number): Promise<void> {
  const keys = [...load.journal.keys]
  await withClients(load, clients, async (client) => {
    for (let key = keys.pop(); key; key = keys.pop()) await callUntilExhausted(client, key)
  })
}

async function issue({ admin, journal }: Load, amount: number): Promise<TestedKey> {
  const { id, key } = await admin.issue(amount)
  return journal.addKey(id, key, amount)
}

async function withClients(
  { target, journal, upstreamHost, reservedTriesMax }: Load,
  count: number,
  work: (client: Client) => Promise<void>,
): Promise<void> {
  const how = { target, journal, upstreamHost, ...(reservedTriesMax && { reservedTriesMax }) }
  const clients = Array.from({ length: count }, (_, place) => createClient({ ...how, place }))
  try {
    await all(clients.map(work))
  } finally {
    for (const client of clients) client.close()
  }
}

type Slots = Awaited<ReturnType<typeof createSlots>>

/** The keys that are called at the moment. */
async function createSlots(load: Load, count: number) {
  const issueAny = () => issue(load, integerBetween(load.random, 1, AMOUNT_MAX))
  const keys: TestedKey[] = []
  while (keys.length < count) keys.push(await issueAny())
  const replaced = new Set<TestedKey>()

  return {
    /** `place` is from 0 to 1. */
    at: (place: number): TestedKey | undefined => keys[Math.floor(keys.length * place)],

    /** Puts a new key in the place of one, once, however many clients find that it is used up. */
    async replace(key: TestedKey): Promise<void> {
      if (replaced.has(key)) return
      replaced.add(key)
      try {
        keys[keys.indexOf(key)] = await issueAny()
      } catch {
        // Cut off by a kill; the next one to find it used up will try again.
        replaced.delete(key)
      }
    },
  }
}

/** Reads and revokes beside the clients. */
async function watch(load: Load, slots: Slots, isOver: () => boolean): Promise<void> {
  const { admin, journal, random } = load
  while (!isOver()) {
    await Bun.sleep(WATCH_MS)
    const key = slots.at(random())
    if (!key) continue
    try {
      journal.addRead(key, await admin.used(key.id))
      if (random() < REVOKE) await revoke(load, slots, key)
    } catch {
      // Cut off by a kill: nothing was read, and whether it was revoked is unknown.
    }
  }
}

async function revoke({ admin, journal }: Load, slots: Slots, key: TestedKey): Promise<void> {
  key.revoking = true
  await slots.replace(key)
  await admin.revoke(key.id)
  key.revokedAt = journal.now()
}

async function callUntilExhausted(client: Client, key: TestedKey): Promise<void> {
  // Twice the amount is always enough; the rest is for where the count of eight begins.
  for (let n = 0; n < 2 * key.amount + 8; n++) {
    const { answer } = await client.call(key)
    if (key.revoking) return
    if (answer?.code === 'insufficient_quota') break
  }
  key.drained = true
}

/** Kills the server again and again. */
export async function killAgain({ random }: Load, { child, kills, startMs, onStart }: Kills) {
  while (child.killed.size < kills) {
    await Bun.sleep(random() * LIFE_MS_MAX)
    await child.kill()
    if (child.killed.size < kills && random() < KILL_AGAIN) {
      await child.startAndKill(random() * startMs)
    }
    onStart(await child.start())
  }
}

/**
 * Waits for all, so that nothing goes on behind the back of what follows; then throws the first
 * failure.
 */
async function all(work: readonly Promise<void>[]): Promise<void> {
  for (const end of await Promise.allSettled(work)) if (end.status === 'rejected') throw end.reason
}
