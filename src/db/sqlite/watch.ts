/**
 * Notices that the database is no longer at its path. SQLite goes on writing into a file that was deleted or replaced
 * without a word, and all of it would be gone at the next start: so from then on nothing is written, until it is back.
 */
import type { Database } from 'bun:sqlite'
import { statSync } from 'node:fs'
import type { SqliteLedger } from './ledger.ts'

/** What is written in between is lost with the file anyway; a look costs six microseconds. */
const LOOK_MS = 1_000

/** Returns what stops it. */
export function watchFile(client: Database, path: string, fail: SqliteLedger['fail']): () => void {
  const look = () => statSync(path, { throwIfNoEntry: false })?.ino
  const opened = look()
  let gone = false
  const timer = setInterval(() => {
    if (gone === (look() !== opened)) return
    gone = !gone
    // Every write fails from here on, those of the admin API too, and with them the ledger's tries to recover.
    client.run(`PRAGMA query_only = ${gone ? 'ON' : 'OFF'}`)
    if (gone) fail(missing(path), () => {})
  }, LOOK_MS)
  timer.unref()
  return () => clearInterval(timer)
}

/** SQLite's own code for this, which it knows to give only in its other journal modes. */
function missing(path: string): Error {
  const message = `${path} was moved, deleted or replaced. Put it back, or restore a backup and start again.`
  return Object.assign(new Error(message), { code: 'SQLITE_READONLY_DBMOVED' })
}
