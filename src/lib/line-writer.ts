/**
 * Writes lines to a file descriptor and never waits for whoever reads them. One write is under way
 * at a time; what is added meanwhile goes out together afterwards. Lines that would exceed
 * `bytesMax` unread bytes are dropped, each as a whole.
 */
import { write, writeSync } from 'node:fs'

/** Lines of a busy moment are handed over together: hundreds cost as much as one. */
const GATHER_MS = 20

/**
 * What a pipe takes at once on Linux (pipe(7)). With each such part that is read there is room for
 * new lines.
 */
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
  /**
   * Writes what has not been begun, for a process that is ending: this alone may wait, for a reader
   * that has kept up.
   */
  sendSync(): void
}

export function createLineWriter(fd: number, bytesMax: number): LineWriter {
  const backlog = createBacklog(bytesMax)
  let isWriting = false
  let isDue = false
  let isReaderGone = false
  let timer: Timer | undefined
  const waiting: (() => void)[] = []

  function send(): void {
    clearTimeout(timer)
    timer = undefined
    if (isWriting) {
      isDue = true
    } else if (backlog.isEmpty()) {
      for (const resolve of waiting.splice(0)) resolve()
    } else {
      isWriting = true
      isDue = false
      writeAll(fd, Buffer.from(backlog.take()), { onWritten: backlog.release, onEnd, onFailure })
    }
  }

  function onEnd(): void {
    isWriting = false
    if (isDue || waiting.length > 0) send()
  }

  /** Nothing to write to is no reason to stop whatever writes. */
  function onFailure(): void {
    isReaderGone = true
    isWriting = false
    backlog.take()
    send()
  }

  return {
    add(lines, bytes) {
      if (isReaderGone || !backlog.add(lines, bytes)) return
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
      if (!isWriting && !backlog.isEmpty()) writeNow(fd, backlog.take())
    },
  }
}

/** Lines to be written. What has been taken counts until it is released. */
function createBacklog(bytesMax: number) {
  let pending = ''
  let unreadBytes = 0
  return {
    isEmpty: () => pending === '',
    /** False if there is no room for these lines. */
    add(lines: string, bytes: number): boolean {
      if (unreadBytes + bytes > bytesMax) return false
      unreadBytes += bytes
      pending += lines
      return true
    },
    take(): string {
      const taken = pending
      pending = ''
      return taken
    },
    release(bytes: number): void {
      unreadBytes -= bytes
    },
  }
}

function writeNow(fd: number, text: string): void {
  try {
    writeSync(fd, text)
  } catch {
    // Nobody reads any more.
  }
}

type WriteEvents = {
  /** Called with the number of bytes after each part. */
  readonly onWritten: (bytes: number) => void
  readonly onEnd: () => void
  readonly onFailure: () => void
}

/** Writes one part after the other. A full pipe that does not block is tried again. */
function writeAll(fd: number, buffer: Buffer, events: WriteEvents, from = 0): void {
  const length = Math.min(buffer.length - from, PART_BYTES_MAX)
  write(fd, buffer, from, length, null, (error, written) => {
    if (error?.code === 'EAGAIN' || error?.code === 'EBUSY') {
      setTimeout(() => writeAll(fd, buffer, events, from), RETRY_MS)
    } else if (error) {
      events.onFailure()
    } else {
      events.onWritten(written)
      if (from + written < buffer.length) writeAll(fd, buffer, events, from + written)
      else events.onEnd()
    }
  })
}
