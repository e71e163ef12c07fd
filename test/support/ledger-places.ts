/**
 * Where the ledger of the model test is kept, and the processes that keep it: one on a file, or replicas on a database of
 * PostgreSQL. Each of them can die without a word, and a replica can be taken for dead.
 */
import { expect } from 'bun:test'
import { copyFileSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { migrateStore, openStore } from '../../src/db/open.ts'
import type { Store, StoreOptions } from '../../src/db/store.ts'
import { newDatabase, sql } from './postgres.ts'
import { temporaryDirectory } from './server.ts'
import { SEALER } from './store.ts'

// Only calls are pruned here, and only by number. Counters are forgotten by age, which means little to a clock that
// jumps by years.
const RETENTION = { callsDays: 1_000_000, callsMax: 3, usageDays: 1_000_000 }

export type Replica = {
  readonly name: string
  readonly store: Store
  readonly faults: readonly unknown[]
}

export type Place = {
  /** A path, or the URL of a database. */
  readonly url: string
  readonly replicas: readonly Replica[]
  /** The machine's: what it shows, and by how much it was put forward or back since somebody looked. Null: claims say when they are. */
  readonly clock: { at: number; steppedMs: number } | null
  /** The replica dies: nothing is closed. Resolves with how many calls it left, when all of them have ended. */
  crash(replica: Replica): Promise<number>
  /** The replica is taken for dead, and goes on. Resolves as `crash` does. */
  pause(replica: Replica): Promise<number>
  close(): Promise<void>
}

async function open(name: string, url: string, clock?: StoreOptions['clock']): Promise<Replica> {
  const faults: unknown[] = []
  const note = (error: unknown) => void faults.push(error)
  const options = {
    url,
    replica: name,
    durability: 'normal',
    retention: () => RETENTION,
    events: { onFailure: note, onRecovery: () => {}, onRejected: note },
    sealer: SEALER,
    ...(clock && { clock }),
  } as const
  return { name, faults, store: await openStore(options, clock?.now() ?? 0) }
}

export async function openFile(): Promise<Place> {
  const clock = { at: 0, steppedMs: 0 }
  const steady = {
    now: () => clock.at,
    step() {
      const { steppedMs } = clock
      clock.steppedMs = 0
      return steppedMs
    },
  }
  let path = join(temporaryDirectory(), 'quota.db')
  const replicas = [await open('', `file:${path}`, steady)]
  return {
    get url() {
      return path
    },
    replicas,
    clock,
    async crash({ store }) {
      const before = path
      path = join(temporaryDirectory(), 'quota.db')
      for (const suffix of ['', '-wal']) copyFileSync(before + suffix, path + suffix)
      await store.close()
      rmSync(dirname(before), { recursive: true })
      const next = await open('', `file:${path}`, steady)
      replicas[0] = next
      return next.store.interrupted
    },
    pause: () => Promise.reject(new Error('who serves a file has no lease')),
    async close() {
      for (const { store } of replicas) await store.close()
    },
  }
}

export async function openReplicas(count: number): Promise<Place> {
  const url = await newDatabase()
  await migrateStore(url, 0, () => {})
  const replicas: Replica[] = []
  while (replicas.length < count) replicas.push(await openReplica(url))
  return {
    url,
    replicas,
    clock: null,
    async crash(replica) {
      const seq = await seqOf(url, replica)
      const left = await holdsOf(url, seq)
      await cutOff(url, replica)
      await sql(url, 'UPDATE replicas SET lease_until = 0 WHERE seq = $1', [seq])
      const next = await openReplica(url)
      replicas[replicas.indexOf(replica)] = next
      await replica.store.close()
      // Any of the others may have been quicker.
      if (count === 1) expect(next.store.interrupted).toBe(left)
      expect(await holdsOf(url, seq)).toBe(0)
      return left
    },
    async pause(replica) {
      const seq = await seqOf(url, replica)
      const left = await holdsOf(url, seq)
      // It may prolong its lease just before somebody looks.
      while (!(await hasEnded(url, seq))) {
        await sql(url, 'UPDATE replicas SET lease_until = 0 WHERE seq = $1', [seq])
        const passer = await openReplica(url)
        await passer.store.close()
      }
      expect(await holdsOf(url, seq)).toBe(0)
      return left
    },
    async close() {
      for (const { store } of replicas) await store.close()
    },
  }
}

/** Each connects as a user of its own, by whom it can be cut off. */
async function openReplica(url: string): Promise<Replica> {
  const name = `replica_${crypto.randomUUID().replaceAll('-', '')}`
  await sql(url, `CREATE ROLE ${name} SUPERUSER LOGIN`)
  return open(name, url.replace('//postgres@', `//${name}@`))
}

/** What it has sent is done or never will be. */
async function cutOff(url: string, { name }: Replica): Promise<void> {
  await sql(url, `ALTER ROLE ${name} NOLOGIN`)
  await sql(
    url,
    'SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE usename = $1',
    [name],
  )
}

async function seqOf(url: string, { name }: Replica): Promise<number> {
  const [row] = await sql<{ seq: number }>(
    url,
    'SELECT max(seq) AS seq FROM replicas WHERE id = $1',
    [name],
  )
  return row?.seq ?? 0
}

async function hasEnded(url: string, seq: number): Promise<boolean> {
  const rows = await sql(url, 'SELECT 1 FROM replicas WHERE seq = $1 AND ended_at IS NOT NULL', [
    seq,
  ])
  return rows.length > 0
}

async function holdsOf(url: string, seq: number): Promise<number> {
  const text = 'SELECT count(*) AS n FROM holds WHERE replica = $1'
  return (await sql<{ n: number }>(url, text, [seq]))[0]?.n ?? -1
}
