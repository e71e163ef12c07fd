/** Whether a PostgreSQL database is served at present, as far as a move must know. */
import { MoveRefused } from '../../move/ports.ts'
import type { Session } from './session.ts'

const SERVING = `SELECT count(*), min(id) FROM replicas
  WHERE ended_at IS NULL AND lease_until > floor(extract(epoch FROM clock_timestamp()) * 1000)`

/** Null if no lease runs; else a sentence that says what to do. */
export async function servedBy(session: Session, name: string): Promise<string | null> {
  const [row] = await session.rows(SERVING)
  const count = Number(row?.[0] ?? 0)
  if (count === 0) return null
  const who = count === 1 ? `A server (${row?.[1]})` : `${count} servers (${row?.[1]} and others)`
  return `${who} may be serving ${name}. Stop all of them, and try again; after one that was killed, wait for 15 seconds.`
}

export async function refuseServed(session: Session, name: string): Promise<void> {
  const served = await servedBy(session, name)
  if (served !== null) throw new MoveRefused(served)
}
