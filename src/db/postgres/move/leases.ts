/** Whether a PostgreSQL database is served at present, as far as a move must know. */
import { MoveRefused } from '../../move/ports.ts'
import type { Session } from './session.ts'

const SERVING = `SELECT count(*), min(id) FROM replicas
  WHERE ended_at IS NULL AND lease_until > floor(extract(epoch FROM clock_timestamp()) * 1000)`

/** Rejects with MoveRefused while a lease runs. */
export async function refuseServed(session: Session, name: string): Promise<void> {
  const [row] = await session.rows(SERVING)
  const count = Number(row?.[0] ?? 0)
  if (count === 0) return
  const who = count === 1 ? `A server (${row?.[1]})` : `${count} servers (${row?.[1]} and others)`
  throw new MoveRefused(
    `${who} may be serving ${name}. Stop all of them, and try again; after one that was killed, wait for 15 seconds.`,
  )
}
