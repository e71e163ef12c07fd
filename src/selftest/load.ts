/**
 * What the clients do: first every amount is asked for in full while nothing goes wrong, then the server is killed again
 * and again under load, then what is left is asked for, and every key once more after its last unit.
 */
import type { Admin } from './admin.ts'
import type { Child, Start } from './child.ts'
import { type Client, createClient } from './client.ts'
import type { Journal, TestedKey } from './journal.ts'
import { integerBetween, type Random, type Stage } from './plan.ts'

export type LoadOptions = {
  readonly child: Child
  readonly admin: Admin
  readonly journal: Journal
  readonly random: Random
  readonly upstreamHost: string
}

export type Load = ReturnType<typeof createLoad>

/** Kills come at any moment of the first second: with full queues as well as with empty ones. */
const LIFE_MS_MAX = 1_000
/** One kill in five is followed by another during the start, when the books are being put in order. */
const KILL_AGAIN = 0.2
/** Small, so that keys run out all the time. */
const AMOUNT_MAX = 200
/** The admin looks often, and revokes now and then. */
const WATCH_MS = 20
const REVOKE = 0.02

export function createLoad({ child, admin, journal, random, upstreamHost }: LoadOptions) {
  async function issue(amount: number): Promise<TestedKey> {
    const { id, key } = await admin.issue(amount)
    return journal.addKey(id, key, amount)
  }

  async function withClients(count: number, work: (client: Client) => Promise<void>) {
    const clients = Array.from({ length: count }, () => createClient(child, journal, upstreamHost))
    try {
      await all(clients.map(work))
    } finally {
      for (const client of clients) client.close()
    }
  }

  const replaced = new Set<TestedKey>()
  /** Puts a new key in the place of one that is used up, once, however many clients find that it is. */
  async function replace(slots: TestedKey[], key: TestedKey): Promise<void> {
    if (replaced.has(key)) return
    replaced.add(key)
    try {
      slots[slots.indexOf(key)] = await issue(integerBetween(random, 1, AMOUNT_MAX))
    } catch {
      // Cut off by a kill; the next one to find it used up will try again.
      replaced.delete(key)
    }
  }

  async function revoke(slots: TestedKey[], key: TestedKey): Promise<void> {
    key.revoking = true
    await replace(slots, key)
    await admin.revoke(key.id)
    key.revokedAt = journal.now()
  }

  /** Reads and revokes beside the clients. */
  async function watch(slots: TestedKey[], isOver: () => boolean): Promise<void> {
    while (!isOver()) {
      await Bun.sleep(WATCH_MS)
      const key = slots[integerBetween(random, 0, slots.length - 1)]
      if (!key) continue
      try {
        journal.addRead(key, await admin.used(key.id))
        if (random() < REVOKE) await revoke(slots, key)
      } catch {
        // Cut off by a kill: nothing was read, and whether it was revoked is unknown.
      }
    }
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

  return {
    /** No kills: each key is asked for twice its amount, and exactly its amount must be granted. */
    async exhaust({ clients, amounts }: Stage): Promise<void> {
      const keys: TestedKey[] = []
      for (const amount of amounts) keys.push(await issue(amount))
      const left = keys.map((key) => ({ key, calls: 2 * key.amount }))
      await withClients(clients, async (client) => {
        for (;;) {
          const i = integerBetween(random, 0, left.length - 1)
          const next = left[i]
          if (!next) return
          if (--next.calls === 0) left.splice(i, 1)
          await client.call(next.key)
        }
      })
      for (const key of keys) key.drained = true
    },

    /** Kills the server `kills` times while clients call; `onStart` hears of each new start. */
    async kill(
      kills: number,
      clients: number,
      keys: number,
      startMs: number,
      onStart: (start: Start) => void,
    ): Promise<void> {
      const slots: TestedKey[] = []
      while (slots.length < keys) slots.push(await issue(integerBetween(random, 1, AMOUNT_MAX)))
      let over = false
      const calling = withClients(clients, async (client) => {
        while (!over) {
          // One hot key and a long tail.
          const key = slots[Math.floor(slots.length * random() ** 3)]
          if (!key) return
          const { answer } = await client.call(key)
          if (answer?.code === 'insufficient_quota') await replace(slots, key)
        }
      })
      const killing = killAgain(kills, startMs, onStart).finally(() => {
        over = true
      })
      await all([calling, killing, watch(slots, () => over)])
    },

    /** Asks every key for what is left of it, and for more. */
    async drain(clients: number): Promise<void> {
      const keys = [...journal.keys]
      await withClients(clients, async (client) => {
        for (let key = keys.pop(); key; key = keys.pop()) await callUntilExhausted(client, key)
      })
    },
  }

  async function killAgain(kills: number, startMs: number, onStart: (start: Start) => void) {
    while (child.killed.size < kills) {
      await Bun.sleep(random() * LIFE_MS_MAX)
      await child.kill()
      if (child.killed.size < kills && random() < KILL_AGAIN) {
        await child.startAndKill(random() * startMs)
      }
      onStart(await child.start())
    }
  }
}

/** Waits for all, so that nothing goes on behind the back of what follows; then throws the first failure. */
async function all(work: readonly Promise<void>[]): Promise<void> {
  for (const end of await Promise.allSettled(work)) if (end.status === 'rejected') throw end.reason
}
