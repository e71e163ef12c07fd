/** Whether a URL leads to a pooler that gives each transaction to another session. */
import pg from 'pg'
import type { PostgresAddress } from '../../../domain/postgres-url.ts'
import { clientOptions } from '../connection.ts'

/** Somebody else may have taken the session in between. */
const TRIES = 3

const CONNECT_MS = 4_000

/** Two connections that are open at once have one session only behind such a pooler. */
export async function isPooled(address: PostgresAddress): Promise<boolean> {
  const clients = [
    new pg.Client(clientOptions(address, CONNECT_MS)),
    new pg.Client(clientOptions(address, CONNECT_MS)),
  ]
  for (const client of clients) client.on('error', () => {})
  try {
    await Promise.all(clients.map((client) => client.connect()))
    for (let i = 0; i < TRIES; i++) {
      const pids: number[] = []
      for (const client of clients) {
        const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')
        pids.push(rows[0]?.pid ?? 0)
      }
      if (pids[0] === pids[1]) return true
    }
    return false
  } finally {
    await Promise.all(clients.map((client) => client.end().catch(() => {})))
  }
}
