/**
 * Looks into a dump. Where the role may create databases, the dump is restored into one of its own, which is counted and
 * dropped; elsewhere it is read to its end.
 */
import { createWriteStream } from 'node:fs'
import { sql } from 'drizzle-orm'
import type { Examined, Sums } from '../../../domain/backup.ts'
import type { PostgresAddress } from '../../../domain/postgres-url.ts'
import { POSTGRES_MIGRATIONS } from '../migrations.gen.ts'
import { type Opened, withClient, withSnapshot } from '../snapshot.ts'
import { schemaOf } from './archive.ts'
import { describeServer, readSums } from './copy.ts'
import { play } from './play.ts'
import { capture, environmentOf, findPrograms, pipe } from './programs.ts'

const PREFIX = 'quota_proxy_verify_'

/** No verification takes as long. What is left of one that was killed is dropped after it. */
const LEFTOVER_HOURS = 12

export async function examineDump(
  addresses: readonly PostgresAddress[],
  file: string,
): Promise<Examined> {
  try {
    const sums = await withClient(addresses, async (tx, opened) => {
      const about = await describeServer(tx)
      const programs = await findPrograms(about.major)
      const { pg_restore } = programs.paths
      const env = environmentOf(opened.address, programs)
      const schema = schemaOf(await capture(pg_restore, ['--list', file], env))
      if (schema === null) throw new Error('It is no database of quota-proxy.')
      if (!about.mayCreate) {
        await pipe(pg_restore, ['--file=-', file], env, createWriteStream('/dev/null'))
        return null
      }
      return await inScratchDatabase(opened, async (address) => {
        const before = `CREATE SCHEMA IF NOT EXISTS ${quoted(schema)};`
        await play({ programs, major: about.major, address, file, schema, before })
        return await countIn(address, schema)
      })
    })
    return problemOf(sums) ?? { ok: true, sums }
  } catch (error) {
    return { ok: false, problem: error instanceof Error ? sentence(error.message) : String(error) }
  }
}

function problemOf(sums: Sums | null): Examined | null {
  const known = new Set(POSTGRES_MIGRATIONS.map(({ name }) => name))
  const unknown = sums?.migrations.find((name) => !known.has(name))
  if (unknown === undefined) return null
  const problem = `It is newer than this binary (it has the migration "${unknown}"). Use the version that wrote it, or a newer one.`
  return { ok: false, problem }
}

function countIn(address: PostgresAddress, schema: string): Promise<Sums> {
  return withSnapshot([address], async (tx) => {
    await tx.execute(sql`SET LOCAL search_path TO ${sql.identifier(schema)}`)
    return await readSums(tx)
  })
}

/** Calls `use` with the address of a new, empty database on the same server, which is dropped afterwards. */
async function inScratchDatabase<T>(
  { client, address }: Opened,
  use: (address: PostgresAddress) => Promise<T>,
): Promise<T> {
  await client.query('SET statement_timeout = 0')
  await dropLeftovers(client)
  const { rows } = await client.query<{ stamp: string }>(
    "SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYYMMDDHH24MISS') AS stamp",
  )
  const random = Buffer.from(crypto.getRandomValues(new Uint8Array(4))).toString('hex')
  const database = `${PREFIX}${rows[0]?.stamp}_${random}`
  await client.query(`CREATE DATABASE ${database} TEMPLATE template0`)
  try {
    return await use({ ...address, database })
  } finally {
    await client.query(`DROP DATABASE IF EXISTS ${database} WITH (FORCE)`)
  }
}

/** Of this role alone: others may have an installation of their own on the server. */
async function dropLeftovers(client: Opened['client']): Promise<void> {
  const { rows } = await client.query<{ name: string }>(
    `SELECT datname AS name FROM pg_database WHERE datname ~ '^${PREFIX}[0-9]{14}_[0-9a-f]{8}$'
       AND pg_get_userbyid(datdba) = current_user AND substr(datname, ${PREFIX.length + 1}, 14)
         < to_char(clock_timestamp() AT TIME ZONE 'UTC' - interval '${LEFTOVER_HOURS} hours', 'YYYYMMDDHH24MISS')`,
  )
  for (const { name } of rows) await client.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`)
}

export function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

function sentence(message: string): string {
  return /[.!?]$/.test(message) ? message : `${message}.`
}
