/** The servers that a measurement of an engine needs: one on SQLite, or two replicas on a PostgreSQL of their own. */
import { randomBytes } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { newDatabase, type PostgresServer } from '../../../test/support/postgres.ts'
import { PATH } from '../../load/traffic.ts'
import type { Bench } from '../../section.ts'
import { mountChat, startQuotaProxy } from '../../servers/quota-proxy.ts'
import type { Server } from '../../workspace.ts'

const REST = PATH.slice('/v1'.length)
const QUOTA = 1_000_000_000

export type Site = {
  readonly servers: readonly Server[]
  readonly database: PostgresServer | null
  readonly url: string | null
  readonly token: string
  readonly keys: readonly string[]
  readonly plain: string
  readonly tokens: string
}

/** Makes `many` keys that nobody exhausts. */
export async function startSite(
  bench: Bench,
  name: string,
  database: PostgresServer | null,
  many: number,
): Promise<Site> {
  const { workspace, upstream } = bench
  const url = database && (await newDatabase(database))
  const secret = randomBytes(32).toString('base64')
  const token = randomBytes(32).toString('hex')
  const servers: Server[] = []
  const dirs: string[] = []
  for (let n = 0; n < (database ? 2 : 1); n++) {
    const dataDir = join(workspace.directory, `${name}-${n}`)
    mkdirSync(dataDir, { mode: 0o700 })
    writeFileSync(join(dataDir, 'admin-token'), token, { mode: 0o600 })
    dirs.push(dataDir)
    const env = { DATA_DIR: dataDir, SECRET_KEY: secret, ...(url && { DATABASE_URL: url }) }
    servers.push(await startQuotaProxy(workspace, `${name}-${n}`, upstream, env))
  }
  const [first] = servers
  const [dataDir] = dirs
  if (!first || dataDir === undefined) throw new Error('no server was started')
  const plain = (await mountChat(first, dataDir, upstream, 'none')) + REST
  const tokens = (await mountChat(first, dataDir, upstream, 'tokens')) + REST
  bench.say(`  making ${many} keys: ${name}`)
  const keys = await makeKeys(first, token, many, QUOTA)
  return { servers, database, url, token, keys, plain, tokens }
}

/** Sixteen at a time. */
export async function makeKeys(
  { url }: Server,
  token: string,
  many: number,
  quota: number,
): Promise<string[]> {
  const keys: string[] = []
  const make = async () => {
    while (keys.length < many) {
      const place = keys.push('') - 1
      const response = await fetch(`${url}/admin/keys`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        body: JSON.stringify({ name: `bench ${place}`, quota }),
      })
      if (!response.ok) throw new Error(`a key was refused: ${await response.text()}`)
      keys[place] = ((await response.json()) as { key: string }).key
    }
  }
  await Promise.all(Array.from({ length: 16 }, make))
  return keys
}
