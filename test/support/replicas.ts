/**
 * Replicas of quota-proxy on one database, each on a port of its own that it keeps when it is started again, and what is done
 * to them: they die without a word, and are paused for longer than their lease.
 */
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { lastingPort, sql } from './postgres.ts'
import { startServer, type TestServer, temporaryDirectory } from './server.ts'

const TOKEN = 'adm_the-token-of-all-replicas-0123456789'

/** A lease, until somebody looks for those that have run out, and time for a database that is away meanwhile. */
const PAUSE_MS_MAX = 60_000

export type Replicas = {
  /** The present process of each. */
  readonly servers: readonly TestServer[]
  readonly ports: readonly number[]
  /** What each of them is set to but its own. */
  readonly env: Readonly<Record<string, string>>
  kill(which: number): Promise<void>
  /** After its end: in its own place, or as one that nobody knows, whose predecessor has to be missed. */
  start(which: number, how?: 'in its place' | 'as another'): Promise<void>
  /** Until the others have taken it for dead. */
  pause(which: number): Promise<void>
}

export async function startReplicas(
  database: string,
  count: number,
  settings: Readonly<Record<string, string>> = {},
): Promise<Replicas> {
  const env = {
    DATABASE_URL: database,
    SECRET_KEY: randomBytes(32).toString('base64'),
    ADMIN_TOKEN: TOKEN,
    ...settings,
  }
  const ports = Array.from({ length: count }, lastingPort)
  const directories = ports.map(newDirectory)
  const begin = (which: number) =>
    startServer({ ...env, PORT: String(ports[which]) }, directories[which])
  const servers: TestServer[] = []
  // One after the other, so that each has time to start on a busy machine.
  for (const which of ports.keys()) servers.push(await begin(which))
  const at = (which: number): TestServer => {
    const server = servers[which]
    if (!server) throw new Error(`there is no replica ${which}`)
    return server
  }
  return {
    servers,
    ports,
    env,
    async kill(which) {
      await at(which).stop('SIGKILL')
    },
    async start(which, how = 'in its place') {
      if (how === 'as another') directories[which] = newDirectory()
      servers[which] = await begin(which)
    },
    async pause(which) {
      const { pid, dataDir } = at(which)
      process.kill(pid, 'SIGSTOP')
      const deadline = performance.now() + PAUSE_MS_MAX
      while (await isServing(database, dataDir)) {
        if (performance.now() > deadline) throw new Error('nobody misses a paused replica')
        await Bun.sleep(250)
      }
      process.kill(pid, 'SIGCONT')
    },
  }
}

function newDirectory(): string {
  return join(temporaryDirectory(), 'data')
}

/** As far as the database knows; it may be away. */
async function isServing(database: string, dataDir: string): Promise<boolean> {
  const text = 'SELECT 1 FROM replicas WHERE right(id, length($1)) = $1 AND ended_at IS NULL'
  const rows = await sql(database, text, [`:${dataDir}`]).catch(() => null)
  return rows === null || rows.length > 0
}

/** Resolves when all of them have an upstream that one of them was told of. */
export async function untilKnown({ servers }: Replicas, name: string): Promise<void> {
  for (const { url } of servers)
    while (!(await upstreamsOf(url)).some((one) => one.name === name)) await Bun.sleep(50)
}

async function upstreamsOf(url: string): Promise<readonly { readonly name: string }[]> {
  const response = await fetch(`${url}/readyz?verbose`)
  return ((await response.json()) as { upstreams: { name: string }[] }).upstreams
}

/** Of a database: how many processes have been replicas of it, by their identity. */
export async function livesOf(database: string): Promise<ReadonlyMap<string, number>> {
  const rows = await sql<{ id: string; n: number }>(
    database,
    'SELECT id, count(*)::integer AS n FROM replicas GROUP BY id',
  )
  return new Map(rows.map(({ id, n }) => [id, n]))
}
