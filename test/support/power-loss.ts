/**
 * A disk that forgets, after the crash tests of SQLite itself (test6.c): what was not synced before the power went may be
 * there, be missing, or be there in pieces and out of order. What was synced is never touched: a disk that lies about
 * that is not one that any promise is made for.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Change, DATABASE_FILES, type Step } from './strace.ts'

/**
 * What of the unsynced is there afterwards: all of it, as when only the process dies; none of it; or any part of it, in
 * sectors, some of them with junk in them.
 */
export const KEEPS = ['everything', 'synced', 'torn'] as const
export type Keep = (typeof KEEPS)[number]

/** The contents of the files, by name. */
export type Image = ReadonlyMap<string, Buffer>

type Chance = () => number

/** The unit in which a disk is sure to write. */
const SECTOR_BYTES = 512

type File = {
  readonly name: string
  readonly createdAt: number
  removedAt: number
  /** What is safely on disk: that it was created, that it was removed, and its contents. */
  created: boolean
  contents: Buffer
  /** What only the memory of the machine has, in order. */
  unsynced: { readonly at: number; readonly change: Change }[]
}

export function createDisk() {
  const files: File[] = []
  let steps = 0

  function live(name: string): File {
    const file = files.findLast((each) => each.name === name && each.removedAt === Infinity)
    if (!file) throw new Error(`${name} is used before it is created`)
    return file
  }

  function create(name: string): void {
    if (files.some((each) => each.name === name && each.removedAt === Infinity)) return
    const contents = Buffer.alloc(0)
    const file = { name, createdAt: steps, removedAt: Infinity, created: false }
    files.push({ ...file, contents, unsynced: [] })
  }

  /** A name is safe once its directory is synced, a file's contents once the file is. */
  function sync(name: string, begun: number): void {
    if (name === '.') {
      for (const file of files) file.created ||= file.createdAt < begun
      for (const file of files.filter(({ removedAt }) => removedAt < begun))
        files.splice(files.indexOf(file), 1)
      return
    }
    const file = live(name)
    const [safe = [], unsafe = []] = [true, false].map((isSafe) =>
      file.unsynced.filter(({ at }) => at < begun === isSafe),
    )
    file.contents = changed(
      file.contents,
      safe.map(({ change }) => change),
    )
    file.unsynced = unsafe
  }

  return {
    apply(step: Step): void {
      if (step.kind === 'create') create(step.file)
      if (step.kind === 'remove') live(step.file).removedAt = steps
      if (step.kind === 'sync') sync(step.file, step.begun)
      if (step.kind === 'write' || step.kind === 'truncate') {
        live(step.file).unsynced.push({ at: steps, change: step })
      }
      steps++
    },

    /** What is there if the power goes now. */
    image(keep: Keep, chance: Chance): Image {
      const image = new Map<string, Buffer>()
      const happens = () => keep === 'everything' || (keep === 'torn' && chance() < 0.5)
      for (const { name, created, removedAt, contents, unsynced } of files) {
        if (!created && !happens()) continue
        if (removedAt !== Infinity && happens()) {
          image.delete(name)
          continue
        }
        const changes = keep === 'synced' ? [] : unsynced.map(({ change }) => change)
        const kept = keep === 'torn' ? changes.flatMap((change) => tear(change, chance)) : changes
        image.set(name, changed(contents, kept))
      }
      return image
    },
  }
}

export function readImage(directory: string): Image {
  const there = DATABASE_FILES.filter((name) => existsSync(join(directory, name)))
  return new Map(there.map((name) => [name, readFileSync(join(directory, name))]))
}

export function writeImage(image: Image, directory: string): void {
  for (const [name, contents] of image) writeFileSync(join(directory, name), contents)
}

/** Random numbers that are the same each time (mulberry32). */
export function chanceOf(seed: number): Chance {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    const a = Math.imul(state ^ (state >>> 15), state | 1)
    const b = (a + Math.imul(a ^ (a >>> 7), a | 61)) ^ a
    return ((b ^ (b >>> 14)) >>> 0) / 2 ** 32
  }
}

/** All of a change, nothing of it, or some of its sectors. */
function tear(change: Change, chance: Chance): Change[] {
  const fate = chance()
  if (fate < 1 / 3) return []
  if (fate < 2 / 3 || change.kind === 'truncate') return [change]
  const { kind, file, offset, bytes } = change
  const pieces: Change[] = []
  for (let start = 0; start < bytes.length; ) {
    const end = Math.min(bytes.length, start + SECTOR_BYTES - ((offset + start) % SECTOR_BYTES))
    const piece = Buffer.from(bytes.subarray(start, end))
    const luck = chance()
    if (luck < 0.1) piece.fill(chance() * 256)
    if (luck < 0.6) pieces.push({ kind, file, offset: offset + start, bytes: piece })
    start = end
  }
  return pieces
}

/** The contents after some changes; what was never written is zeros. */
function changed(contents: Buffer, changes: readonly Change[]): Buffer {
  const ends = changes.map((change) =>
    change.kind === 'write' ? change.offset + change.bytes.length : change.size,
  )
  const room = Buffer.alloc(Math.max(contents.length, ...ends))
  contents.copy(room)
  let size = contents.length
  for (const change of changes) {
    if (change.kind === 'truncate') {
      room.fill(0, change.size)
      size = change.size
    } else {
      change.bytes.copy(room, change.offset)
      size = Math.max(size, change.offset + change.bytes.length)
    }
  }
  return room.subarray(0, size)
}
