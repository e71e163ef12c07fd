/**
 * Runs in a thread of its own: copies the WAL into the database file and waits for the disk, which on the main thread
 * would stop every call. Plain JavaScript, because the binary embeds it as text.
 */
import { Database } from 'bun:sqlite'

let client

self.onmessage = ({ data }) => {
  if (data.open) {
    client = new Database(data.open)
    client.run('PRAGMA busy_timeout = 5000')
    return
  }
  if (data.close) {
    client.close()
    self.close()
    return
  }
  try {
    const [busy, frames, copied] = client.query(`PRAGMA wal_checkpoint(${data.mode})`).values()[0]
    postMessage({ busy: busy === 1, frames, copied })
  } catch (error) {
    postMessage({ error: String(error) })
  }
}
