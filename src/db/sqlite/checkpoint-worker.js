/**
 * Runs in a thread of its own: copies the WAL into the database file and waits for the disk, which on the main thread
 * would stop every call. Plain JavaScript, because the binary embeds it as text.
 */
import { Database } from 'bun:sqlite'

let client

self.onmessage = ({ data }) => {
  try {
    if (data.open) {
      client = new Database(data.open)
      client.run('PRAGMA busy_timeout = 500')
      return
    }
    if (data.close) client.close()
    else checkpoint(data.mode)
    postMessage({})
  } catch (error) {
    postMessage({ error: String(error) })
  }
}

/** A statement that is still open keeps the connection, and with it the WAL, when it is closed. */
function checkpoint(mode) {
  const statement = client.prepare(`PRAGMA wal_checkpoint(${mode})`)
  try {
    statement.values()
  } finally {
    statement.finalize()
  }
}
