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
      client.run(`PRAGMA busy_timeout = ${data.busyTimeoutMs}`)
    } else if (data.close) {
      client.close()
      // Nothing left to wait for: the thread ends.
      self.onmessage = null
    } else {
      postMessage(checkpoint(data.mode))
    }
  } catch (error) {
    postMessage({ error: String(error) })
  }
}

/** Pages of the WAL, how many of them are copied, and whether somebody was in the way. An open statement would keep the connection, and with it the WAL, when it is closed. */
function checkpoint(mode) {
  const statement = client.prepare(`PRAGMA wal_checkpoint(${mode})`)
  try {
    const [busy, frames, copied] = statement.values()[0]
    return { busy: busy === 1, frames, copied }
  } finally {
    statement.finalize()
  }
}
