/** A PostgreSQL database that a move fills. Until it is whole, it holds the mark that servers refuse. */
import type { DatabaseUrl } from '../../../domain/database-url.ts'
import type { Sealer } from '../../../lib/seal.ts'
import {
  FROM_THE_START,
  type Marker,
  MoveRefused,
  type Target,
  type TargetState,
} from '../../move/ports.ts'
import { isBare, schemaProblem } from '../../move/schema.ts'
import { TABLES } from '../../move/tables.ts'
import { Pool } from '../connection.ts'
import { migrate } from '../migrate.ts'
import { POSTGRES_MIGRATIONS } from '../migrations.gen.ts'
import { migrationsOfPostgres } from '../open.ts'
import { createPostgresCopy } from './copy.ts'
import { refuseServed } from './leases.ts'
import { createPostgresReader } from './reader.ts'
import { Session } from './session.ts'
import { UNFINISHED } from './unfinished.ts'

type PostgresUrl = Extract<DatabaseUrl, { kind: 'postgres' }>

/** Also what only this engine has. */
const FILLED = [...TABLES.map(({ name }) => name), 'holds']

export async function openPostgresTarget(
  url: PostgresUrl,
  name: string,
  sealer: Sealer,
): Promise<Target> {
  const views = await migrationsOfPostgres(url)
  const problem = schemaProblem(name, views, 'target')
  if (problem !== null) throw new MoveRefused(problem)
  const session = await Session.open(url.addresses)
  try {
    const state = await look(session, name, sealer, !isBare(views))
    return {
      state,
      reader: () => createPostgresReader(session),
      async begin(marker, how, numbers) {
        await prepare(url, marker.at)
        const run = crypto.randomUUID()
        const begun = await session.transact(async () => {
          // A server that starts now either is seen here, or sees the mark.
          await session.rows('LOCK TABLE replicas IN SHARE ROW EXCLUSIVE MODE')
          await refuseServed(session, name)
          return mark(session, { marker, how, run, name })
        })
        return createPostgresCopy(session, { marker: begun, run, numbers })
      },
      close: () => session.close(),
    }
  } catch (error) {
    await session.close()
    throw error
  }
}

async function look(
  session: Session,
  name: string,
  sealer: Sealer,
  isOurs: boolean,
): Promise<TargetState> {
  if (!isOurs) {
    if ((await session.value("SELECT to_regclass('keys') IS NULL")) === true)
      return { kind: 'empty' }
    throw new MoveRefused(
      `${name} holds tables of something else, such as "keys". Make a database for quota-proxy alone, and name that.`,
    )
  }
  await refuseServed(session, name)
  await refuseOtherKey(session, name, sealer)
  const marker = await readMarker(session)
  if (marker !== null) return { kind: 'unfinished', marker }
  return { kind: (await isEmpty(session)) ? 'empty' : 'filled' }
}

async function isEmpty(session: Session): Promise<boolean> {
  const filled = FILLED.map((table) => `EXISTS (SELECT 1 FROM ${table})`).join(' OR ')
  return (await session.value(`SELECT ${filled}`)) === false
}

/** What a server that has been there has sealed: with another key it would refuse to start. */
async function refuseOtherKey(session: Session, name: string, sealer: Sealer): Promise<void> {
  const sealed = await session.value('SELECT key_check FROM installation')
  if (typeof sealed !== 'string' || sealer.open(sealed, 'installation.key_check').ok) return
  throw new MoveRefused(
    `${name} belongs to an installation with another secret key. Use a new database, or put that key back.`,
  )
}

async function prepare({ addresses }: PostgresUrl, at: number): Promise<void> {
  const pool = new Pool(addresses)
  try {
    await migrate(pool, POSTGRES_MIGRATIONS, at)
  } finally {
    await pool.close()
  }
}

type Mark = {
  readonly marker: Marker
  readonly how: 'new' | 'again' | 'resumed'
  readonly run: string
  readonly name: string
}

/** Resolves with the mark that is there then. */
async function mark(session: Session, { marker, how, run, name }: Mark): Promise<Marker> {
  if (how === 'new') {
    if ((await readMarker(session)) !== null || !(await isEmpty(session)))
      throw new MoveRefused(`${name} was empty, and no longer is. Somebody else uses it.`)
    await session.rows(`CREATE TABLE ${UNFINISHED} (run text NOT NULL, marker text NOT NULL)`)
    await session.rows(`INSERT INTO ${UNFINISHED} VALUES ($1, $2)`, [run, JSON.stringify(marker)])
    await session.rows('INSERT INTO installation (id) VALUES (1) ON CONFLICT DO NOTHING')
    return marker
  }
  // Whoever was at work here before can write no more: what was under way is waited for, and is read below.
  await session.rows(`UPDATE ${UNFINISHED} SET run = $1`, [run])
  const there = await readMarker(session)
  if (how === 'resumed' && there?.source === marker.source && there.state === marker.state)
    return there
  await session.rows(`TRUNCATE ${FILLED.join(', ')}`)
  const anew = how === 'again' ? marker : { ...marker, progress: FROM_THE_START }
  await session.rows(`UPDATE ${UNFINISHED} SET marker = $1`, [JSON.stringify(anew)])
  return anew
}

/** Null if no move has begun, or it is finished. */
async function readMarker(session: Session): Promise<Marker | null> {
  if ((await session.value(`SELECT to_regclass('${UNFINISHED}') IS NULL`)) === true) return null
  const text = await session.value(`SELECT marker FROM ${UNFINISHED}`)
  return JSON.parse(String(text)) as Marker
}
