/**
 * Notices that a file of the database is no longer at its path. SQLite goes on writing into a file that was deleted or
 * replaced without a word, and all of it would be gone at the next start: so nothing is granted, and nothing that an
 * operator asks for is acknowledged, until that very file is back.
 */
import type { Database } from 'bun:sqlite'
import { type Stats, statSync } from 'node:fs'
import { resolve } from 'node:path'
import { StoreFailure } from '../../domain/store.ts'

/**
 * How soon the log says it though nobody asks for anything. Whoever asks is not told by this timer: each transaction looks
 * for itself before it begins, and so does each probe. A look takes 6 microseconds, where a transaction takes 100 and more.
 */
const IDLE_LOOK_MS = 1_000

/** Without its index another process would not see our locks, and without the lock file another server would start. */
const SUFFIXES = ['', '-wal', '-shm', '.lock'] as const

/** Bytes before the frames of a WAL, and before the page in each of them (sqlite.org/fileformat2.html section 4). */
const WAL_HEADER_BYTES = 32
const FRAME_HEADER_BYTES = 24

export type FileWatch = {
  /** Null while every file is where it was when the watch began. */
  look(): StoreFailure | null
  stop(): void
}

/**
 * `name` is what the settings say, and `path` the file that it leads to. `onLost` is told by the timer, for as long as
 * something is missing.
 */
export function watchFiles(
  client: Database,
  { name, path }: { readonly name: string; readonly path: string },
  onLost: () => void,
): FileWatch {
  const pageBytes = number(client, 'PRAGMA page_size')
  const files = SUFFIXES.map((suffix) => {
    const at = suffix === '' ? resolve(name) : path + suffix
    return { suffix, at, opened: statOf(at) }
  })
  let walBytes = 0
  let folded = false

  function look(): StoreFailure | null {
    for (const { suffix, at, opened } of files) {
      const now = statOf(at)
      if (now === null || now.ino !== opened?.ino || now.dev !== opened.dev) return lost(at, suffix)
      if (suffix === '' && now.size === 0) return emptied(at)
      if (suffix === '-wal') {
        if (now.size < walBytes && isCutShort(client, pageBytes, now.size)) return emptied(at)
        walBytes = now.size
      }
    }
    return null
  }

  const timer = setInterval(() => {
    const isLost = look() !== null
    if (isLost) onLost()
    folded = isLost && (folded || fold(client))
  }, IDLE_LOOK_MS)
  timer.unref()
  return { look, stop: () => clearInterval(timer) }
}

/** Whoever has folded all of the WAL into the database may empty it, such as an operator's shell. */
function isCutShort(client: Database, pageBytes: number, bytes: number): boolean {
  const frames = Number(client.query('PRAGMA wal_checkpoint(NOOP)').values()[0]?.[1] ?? 0)
  return frames > 0 && bytes < WAL_HEADER_BYTES + frames * (FRAME_HEADER_BYTES + pageBytes)
}

/**
 * Brings what only the WAL holds into the database file: both are open still, whatever has become of their names. After
 * it the loss of the WAL is none, and a deleted database is whole in one file that /proc still has.
 */
function fold(client: Database): boolean {
  try {
    return client.query('PRAGMA wal_checkpoint(TRUNCATE)').values()[0]?.[0] === 0
  } catch {
    return false
  }
}

/** A path that cannot be looked at is no better than one where nothing is. */
function statOf(path: string): Stats | null {
  try {
    return statSync(path, { throwIfNoEntry: false }) ?? null
  } catch {
    return null
  }
}

function lost(file: string, suffix: (typeof SUFFIXES)[number]): StoreFailure {
  const remedy =
    suffix === ''
      ? 'Put it back, or restore a backup and start again.'
      : 'Put it back, or start again: a stop in order loses nothing.'
  return moved(`${file} was moved, deleted or replaced. ${remedy}`)
}

function emptied(file: string): StoreFailure {
  return moved(`${file} was cut short. Restore a backup and start again.`)
}

/** With SQLite's own code for this, which it knows to give only in its other journal modes. */
function moved(message: string): StoreFailure {
  return new StoreFailure(message, 'SQLITE_READONLY_DBMOVED')
}

function number(client: Database, sql: string): number {
  return Number(client.query(sql).values()[0]?.[0])
}
