/** Starts on the files that a loss of power has left, and compares what they say with what clients had been told. */
import { Database } from 'bun:sqlite'
import { accessSync, constants, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { examineStore, openStore } from '../../src/db/open.ts'
import { type Image, writeImage } from './power-loss.ts'
import { SEALER } from './store.ts'

/** Something that a client was told, and by which answer. */
export type Fact = { readonly requestId: string; readonly key: string } & (
  | { readonly kind: 'issued' | 'disabled' }
  | { readonly kind: 'call'; readonly seq: number; readonly paid: boolean }
)

export type Aftermath = {
  /** What no loss of power may do: the file is broken, books do not balance, there is a gap, more is used than there is. */
  readonly damage: readonly string[]
  /** Some of what was told and is not known any more. */
  readonly lost: readonly string[]
}

/** Enough to understand a failure by. */
const EXAMPLES = 5

/** In memory where there is such a place: to open hundreds of databases on a disk takes minutes on a slow one. */
const ROOM = isWritable('/dev/shm') ? '/dev/shm' : tmpdir()

/** `told` in the order in which it was told. */
export async function readAftermath(image: Image, told: readonly Fact[]): Promise<Aftermath> {
  const directory = mkdtempSync(join(ROOM, 'quota-proxy-'))
  writeImage(image, directory)
  const path = join(directory, 'quota.db')
  try {
    await startOn(path)
    return { damage: await damageIn(path), lost: lostIn(path, told).slice(0, EXAMPLES) }
  } catch (error) {
    return { damage: [String(error)], lost: [] }
  } finally {
    rmSync(directory, { recursive: true })
  }
}

/** As the product does: brings the database up to date and ends the calls that were open. */
async function startOn(path: string): Promise<void> {
  const fail = (error: unknown) => {
    throw error
  }
  const retention = () => ({ callsDays: 9_999, callsMax: 1_000_000, usageDays: 9_999 })
  const events = { onFailure: fail, onRecovery() {}, onRejected: fail }
  const url = `file:${path}`
  const options = { url, durability: 'normal', retention, events, sealer: SEALER } as const
  const store = await openStore(options, Date.now())
  await store.close()
}

async function damageIn(path: string): Promise<string[]> {
  const findings = (await examineStore(`file:${path}`, Date.now()))?.findings ?? []
  const wrong = findings.filter(({ ok, check }) => !ok && check !== 'disk')
  const gaps = seqsIn(path).filter((seq, i) => seq !== i + 1)
  const oversold = keysIn(path).filter(({ used, amount }) => used > amount)
  return [
    ...wrong.map(({ check, detail }) => `${check}: ${detail}`),
    ...gaps.slice(0, 1).map((seq) => `call ${seq} is there and one before it is not`),
    ...oversold.map(({ id }) => `${id} is oversold`),
  ]
}

function lostIn(path: string, told: readonly Fact[]): string[] {
  const keys = new Map(keysIn(path).map((key) => [key.id, key]))
  const seqs = new Set(seqsIn(path))
  const paid = new Map<string, number>()
  return told.flatMap((fact): string[] => {
    const key = keys.get(fact.key)
    if (!key) return [`key ${fact.key}`]
    if (fact.kind === 'disabled' && key.enabled) return [`that ${fact.key} is disabled`]
    if (fact.kind !== 'call') return []
    if (!seqs.has(fact.seq)) return [`call ${fact.seq}`]
    const units = (paid.get(fact.key) ?? 0) + (fact.paid ? 1 : 0)
    paid.set(fact.key, units)
    return key.used < units ? [`unit ${units} of ${fact.key}`] : []
  })
}

type Key = { id: string; enabled: number; amount: number; used: number }

function keysIn(path: string): Key[] {
  return read(
    path,
    `SELECT k.id, k.enabled, l.amount, coalesce(sum(c.used), 0) AS used FROM keys k
     JOIN limits l ON l.key_seq = k.seq LEFT JOIN counters c ON c.limit_id = l.id GROUP BY l.id`,
  )
}

function seqsIn(path: string): number[] {
  return read<{ seq: number }>(path, 'SELECT seq FROM calls ORDER BY seq').map(({ seq }) => seq)
}

function isWritable(directory: string): boolean {
  try {
    accessSync(directory, constants.W_OK)
    return true
  } catch {
    return false
  }
}

function read<T>(path: string, sql: string): T[] {
  const client = new Database(path, { readonly: true })
  try {
    return client.query<T, []>(sql).all()
  } finally {
    client.close()
  }
}
