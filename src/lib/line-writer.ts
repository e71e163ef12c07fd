/**
 * Writes lines to a file descriptor and never waits for whoever reads them. One write is under way at a time; what is added
 * meanwhile goes out together afterwards. Lines that would exceed `bytesMax` unread bytes are dropped, each as a whole.
 */
import { write, writeSync } from 'node:fs'

/** Lines of a busy moment are handed over together: hundreds cost as much as one. */
const GATHER_MS = 20

/** What a pipe takes at once on Linux (pipe(7)). With each such part that is read there is room for new lines. */
const PART_BYTES_MAX = 64 * 1024

/** How soon a full pipe that does not block is tried again. */
const RETRY_MS = 100

export type LineWriter = {
  /** Adds whole lines, to be written soon. `bytes` is their length in UTF-8. */
  add(lines: string, bytes: number): void
  /** Begins to write what has been added. */
  send(): void
  /** Resolves when everything is written, or nobody can read it any more. */
  flush(): Promise<void>
  /** Writes what has not been begun, for a process that is ending: this alone may wait, for a reader that has kept up. */
  sendSync(): void
}

export function createLineWriter(fd: number, bytesMax: number): LineWriter {
  let pending = ''
  /** Added and not yet written. */
  let unreadBytes = 0
  let writing: Buffer | null = null
  let isDue = false
  let isReaderGone = false
  let timer: Timer | undefined
  const waiting: (() => void)[] = []

  function send(): void {
    clearTimeout(timer)
    timer = undefined
    if (writing !== null) {
      isDue = true
    } else if (pending === '') {
      for (const resolve of waiting.splice(0)) resolve()
    } else {
      writing = Buffer.from(pending)
      pending = ''
      isDue = false
      writePart(writing, 0)
    }
  }

  function writePart(buffer: Buffer, from: number): void {
    const length = Math.min(buffer.length - from, PART_BYTES_MAX)
    write(fd, buffer, from, length, null, (error, written) => {
      if (error?.code === 'EAGAIN' || error?.code === 'EBUSY') {
        setTimeout(() => writePart(buffer, from), RETRY_MS)
      } else if (error) {
        leave()
      } else {
        unreadBytes -= written
        if (from + written < buffer.length) writePart(buffer, from + written)
        else end()
      }
    })
  }

  function end(): void {
    writing = null
    if (isDue || waiting.length > 0) send()
  }

  /** Nothing to write to is no reason to stop whatever writes. */
  function leave(): void {
    isReaderGone = true
    pending = ''
    writing = null
    send()
  }

  return {
    add(lines, bytes) {
      if (isReaderGone || unreadBytes + bytes > bytesMax) return
      unreadBytes += bytes
      pending += lines
      timer ??= setTimeout(send, GATHER_MS)
    },
    send,
    flush() {
      const { promise, resolve } = Promise.withResolvers<void>()
      waiting.push(resolve)
      send()
      return promise
    },
    sendSync() {
      // Behind a write that is under way there may be a reader that does not read.
      if (writing !== null || pending === '') return
      try {
        writeSync(fd, pending)
      } catch {
        // Nobody reads any more.
      }
      pending = ''
    },
  }
}
