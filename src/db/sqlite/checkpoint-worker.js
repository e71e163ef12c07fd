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
    else client.query(`PRAGMA wal_checkpoint(${data.mode})`).values()
    postMessage({})
  } catch (error) {
    postMessage({ error: String(error) })
  }
}
