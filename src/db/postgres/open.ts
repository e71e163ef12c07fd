/** Keeps the ports of a store in a PostgreSQL database, which any number of replicas share. */
import { hostname } from 'node:os'
import type { DatabaseUrl } from '../../domain/database-url.ts'
import type { Capabilities, Examination, Examining } from '../../domain/store.ts'
import { VERSION } from '../../lib/process/version.ts'
import { createInFlightUnits } from '../ledger/in-flight-units.ts'
import { GroupLedger } from '../ledger/ledger.ts'
import { createTimekeeper } from '../ledger/timekeeper.ts'
import type { MigrationView, Store, StoreOptions } from '../store.ts'
import { readBackupRecord } from './backup/engine.ts'
import { missingReason } from './backup/programs.ts'
import { Connection, Pool } from './connection.ts'
import { examineServer } from './health/doctor.ts'
import { viewServer } from './health/view.ts'
import { createFindCredential } from './keys/credentials.ts'
import { createKeyStore } from './keys/key-store.ts'
import { createFindStandings } from './keys/standings.ts'
import { PostgresLedger } from './ledger/engine.ts'
import { createPrune } from './ledger/prune.ts'
import { migrate, migrationsOf } from './migrate.ts'
import { POSTGRES_MIGRATIONS } from './migrations.gen.ts'
import { refuseUnfinished } from './move/unfinished.ts'
import { createReader } from './read/reader.ts'
import { Replica } from './replica.ts'
import { createChange, createRead, createSnapshot } from './transact.ts'
import { checkSecretKey } from './upstreams/key-check.ts'
import { createUpstreamStore } from './upstreams/upstream-store.ts'

type PostgresUrl = Extract<DatabaseUrl, { kind: 'postgres' }>

/** How soon a change that another replica made is noticed though nobody calls here. */
const BEAT_MS = 1_000
/** How soon the calls of a replica that was killed are ended, after its lease has run out. */
const BURY_MS = 3_000

export async function openPostgres(
  database: PostgresUrl,
  options: StoreOptions,
  at: number,
): Promise<Store> {
  const { addresses } = database
  const pool = new Pool(addresses)
  const connection = new Connection(addresses)
  try {
    const migrated = await migrate(pool, POSTGRES_MIGRATIONS, at)
    await refuseUnfinished(pool)
    if (!options.isResealing) await checkSecretKey(createRead(pool), options.sealer)
    return await assemble(database, pool, connection, options, migrated)
  } catch (error) {
    await connection.close()
    await pool.close()
    throw error
  }
}

async function assemble(
  { addresses }: PostgresUrl,
  pool: Pool,
  connection: Connection,
  options: StoreOptions,
  migrated: readonly string[],
): Promise<Store> {
  const id = options.replica ?? `${hostname()}:${process.pid}:${crypto.randomUUID()}`
  const replica = new Replica(connection, {
    id,
    version: VERSION,
    schema: POSTGRES_MIGRATIONS.at(-1)?.name ?? '',
  })
  await replica.register()
  await refuseMoveBegun(pool, replica)
  const [read, change] = [createRead(pool), createChange(pool)]
  const upstreams = createUpstreamsWatch()
  const engine = new PostgresLedger({
    ...{ connection, read, replica, isClocked: options.clock !== undefined },
    onUpstreams: upstreams.note,
  })
  await engine.beat()
  const interrupted = await endOrphans(engine, replica)
  const ledger = new GroupLedger({
    ...{ engine, held: createInFlightUnits(), events: options.events },
    time: createTimekeeper(null),
  })
  const stop = startReplica(engine, replica, ledger)
  return {
    capabilities: capabilities(),
    find: createFindCredential(read, (error, again) => ledger.fail(error, again)),
    standings: createFindStandings(read),
    ledger,
    isFailing: () => ledger.failing,
    keys: createKeyStore(change, read),
    upstreams: createUpstreamStore(change, read, options.sealer),
    watchUpstreams: upstreams.watch,
    reads: createReader(createSnapshot(pool)).reads,
    prune: createPrune(change, options.retention, { isClockChecked: options.clock !== undefined }),
    backupRecord: () => read(readBackupRecord),
    replicas: {
      view: (at) => read((tx) => viewServer(tx, replica.seq, at)),
      known: () => replica.known(),
    },
    migrated,
    interrupted,
    async examine(now, how) {
      const found = await examineServer(addresses, now, how)
      if (!found) throw new Error('the tables are gone')
      return found
    },
    startCheckpoints: () => async () => {},
    startReader: () => async () => {},
    async close() {
      stop()
      const end = options.replica === undefined ? replica.vanish() : replica.leave()
      await end.catch(() => {})
      await connection.close()
      await pool.close()
    },
  }
}

function capabilities(): Capabilities {
  const reason = missingReason()
  return { backups: reason === null ? { ok: true } : { ok: false, reason }, sharedFile: null }
}

/** A move may have begun since the start looked for one; one that begins from here on finds this replica. */
async function refuseMoveBegun(pool: Pool, replica: Replica): Promise<void> {
  try {
    await refuseUnfinished(pool)
  } catch (error) {
    await replica.leave()
    throw error
  }
}

/** Those of this replica's place are ended by now, and of others those that nobody has ended yet. */
async function endOrphans(engine: PostgresLedger, replica: Replica): Promise<number> {
  await replica.buryOthers()
  return engine.endOrphans()
}

/** Prolongs the lease, and ends the calls of replicas whose lease has run out. Returns a stop function. */
function startReplica(engine: PostgresLedger, replica: Replica, ledger: GroupLedger): () => void {
  let isStopped = false
  const stops = [
    every(BEAT_MS, () => engine.beat()),
    every(BURY_MS, () => endOrphans(engine, replica)),
  ]
  return () => {
    isStopped = true
    for (const stop of stops) stop()
  }

  function every(ms: number, work: () => Promise<unknown>): () => void {
    let timer: Timer
    const arm = () => {
      timer = setTimeout(run, ms)
      timer.unref()
    }
    const run = async () => {
      try {
        // While the store fails, the ledger tries it by itself.
        if (!ledger.failing) await work()
      } catch (error) {
        if (!isStopped) ledger.fail(error)
      }
      if (!isStopped) arm()
    }
    arm()
    return () => clearTimeout(timer)
  }
}

/** Tells whoever holds the upstreams in memory when they have changed, and waits until they are taken up. */
function createUpstreamsWatch() {
  let known = 0
  let reload: (() => Promise<void>) | null = null
  return {
    watch(taken: () => Promise<void>): void {
      reload = taken
    },
    async note(revision: number): Promise<void> {
      if (revision === known) return
      await reload?.()
      known = revision
    },
  }
}

export async function migrationsOfPostgres({ addresses }: PostgresUrl): Promise<MigrationView[]> {
  const pool = new Pool(addresses)
  try {
    return await migrationsOf(pool, POSTGRES_MIGRATIONS)
  } finally {
    await pool.close()
  }
}

/** Null if there is no database of ours. */
export function examinePostgres(
  { addresses }: PostgresUrl,
  at: number,
  how?: Examining,
): Promise<Examination | null> {
  return examineServer(addresses, at, how)
}

export async function migratePostgres(
  { addresses }: PostgresUrl,
  at: number,
  onMigrated: (share: number) => void,
): Promise<readonly string[]> {
  const pool = new Pool(addresses)
  try {
    return await migrate(pool, POSTGRES_MIGRATIONS, at, onMigrated)
  } finally {
    await pool.close()
  }
}
