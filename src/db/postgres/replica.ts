/**
 * This process among those that serve a database. Its row has a lease, which every batch and every beat prolongs. Whoever
 * finds a lease that has run out says in the row that it has ended; from then on its process may write nothing, and its
 * calls in flight are ended by the others. The epoch does the same for what a lost connection may yet bring.
 */
import { StoreFailure } from '../../domain/store.ts'
import type { Connection } from './connection.ts'
import { REPLICA_LOST } from './failure.ts'

/** Of the row, from each time that it is seen. The function of the batches has the same number. */
export const LEASE_MS = 15_000

export type ReplicaIdentity = {
  /** A process takes the place of the one that had the same id. */
  readonly id: string
  readonly version: string
  /** The newest migration that this binary knows. */
  readonly schema: string
}

export type Beat = { readonly now: number; readonly upstreams: number }
type BeatRow = Beat & { readonly oldest: string; readonly serving: number }

const NOW = 'floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint'

export class Replica {
  readonly #connection: Connection
  readonly #identity: ReplicaIdentity
  #seq = 0
  #epoch = 0
  #batch = 0
  #leaseUntilMs = 0
  #serving = 1
  #lost = 0

  constructor(connection: Connection, identity: ReplicaIdentity) {
    this.#connection = connection
    this.#identity = identity
  }

  get seq(): number {
    return this.#seq
  }

  get epoch(): number {
    return this.#epoch
  }

  /** How many serve, what is left of the lease, and how many of others were found to have run out, as of the latest beat. */
  known() {
    const leaseMs = Math.max(0, this.#leaseUntilMs - performance.now())
    return { serving: this.#serving, leaseMs, lost: this.#lost }
  }

  /** The number of the next batch. */
  nextBatch(): number {
    return ++this.#batch
  }

  /** Enters the process anew: what was written under its number before is no longer its own. */
  async register(): Promise<void> {
    const { id, version } = this.#identity
    const [row] = await this.#connection.query<{ seq: number; epoch: number }>(
      `WITH before AS (
         UPDATE replicas SET ended_at = ${NOW}, epoch = epoch + 1 WHERE id = $1 AND ended_at IS NULL)
       INSERT INTO replicas (id, version, started_at, lease_until)
       VALUES ($1, $2, ${NOW}, ${NOW} + ${LEASE_MS}) RETURNING seq, epoch`,
      [id, version],
    )
    if (!row) throw new Error('the replica could not be entered')
    this.#seq = row.seq
    this.#epoch = row.epoch
    this.#batch = 0
  }

  /**
   * Lets nothing be written any more that was sent before, and waits for what is being written. Resolves with the number of
   * the latest batch that was, and whether the replica was taken for dead.
   */
  async fence(): Promise<{ readonly batch: number; readonly hasEnded: boolean }> {
    const [row] = await this.#connection.query<{ batch: number; epoch: number; ended: boolean }>(
      `UPDATE replicas SET epoch = epoch + 1 WHERE seq = $1
       RETURNING batch, epoch, ended_at IS NOT NULL AS ended`,
      [this.#seq],
    )
    if (!row) return { batch: 0, hasEnded: true }
    this.#epoch = row.epoch
    return { batch: row.batch, hasEnded: row.ended }
  }

  /**
   * Prolongs the lease. Resolves with the clock of the database and the revision of the upstreams. Rejects with a StoreFailure
   * if a newer version has changed the schema so that this one does not understand it any more.
   */
  async beat(): Promise<Beat> {
    const sentMs = performance.now()
    const [row] = await this.#connection.query<BeatRow>(
      `UPDATE replicas SET lease_until = ${NOW} + ${LEASE_MS}
       WHERE seq = $1 AND epoch = $2 AND ended_at IS NULL
       RETURNING ${NOW} AS now, (SELECT upstreams_revision FROM installation) AS upstreams,
         (SELECT max(oldest) FROM schema_migrations) AS oldest,
         (SELECT count(*) FROM replicas WHERE ended_at IS NULL) AS serving`,
      [this.#seq, this.#epoch],
    )
    if (row && row.oldest > this.#identity.schema)
      throw new StoreFailure(
        `the database has the schema ${row.oldest}, which this version does not understand; start the newer version`,
        'SCHEMA',
      )
    if (row) {
      this.#leaseUntilMs = sentMs + LEASE_MS
      this.#serving = row.serving
      return row
    }
    throw Object.assign(new Error('this replica was taken for dead'), { code: REPLICA_LOST })
  }

  /** Ends those whose lease has run out. Resolves with their ids. */
  async buryOthers(): Promise<readonly string[]> {
    const rows = await this.#connection.query<{ id: string }>(
      `UPDATE replicas SET ended_at = ${NOW}, epoch = epoch + 1
       WHERE lease_until < ${NOW} AND ended_at IS NULL AND seq <> $1 RETURNING id`,
      [this.#seq],
    )
    this.#lost += rows.length
    return rows.map(({ id }) => id)
  }

  /** A stop: what is left in flight is for others to end. */
  async leave(): Promise<void> {
    await this.#connection.query(
      `UPDATE replicas SET ended_at = ${NOW}, epoch = epoch + 1 WHERE seq = $1 AND ended_at IS NULL`,
      [this.#seq],
    )
  }

  /** A stop of a process that nobody looks for, such as a command: its row goes with it, unless it has left calls. */
  async vanish(): Promise<void> {
    await this.leave()
    await this.#connection.query(
      `DELETE FROM replicas r WHERE seq = $1
       AND NOT EXISTS (SELECT 1 FROM holds h WHERE h.replica = r.seq)`,
      [this.#seq],
    )
  }
}
