/**
 * Reads one answer in whatever dialect it speaks: each JSON value of it in order, the whole of it or the members of
 * `REPORT`. What is known never shrinks: a stream that repeats its counts, or ends with zeros, takes nothing back. Pure;
 * takes any value at all, never throws, and counts nothing but whole numbers that are exact.
 */
import { isObject } from '../../lib/json/object.ts'
import { type Reported, within } from '../usage.ts'
import type { Dialect, Piece } from './dialect.ts'
import { isFailure } from './failure.ts'
import { modelOf } from './model.ts'
import { add, isNothing, merge, NOTHING, type Said } from './said.ts'
import { DIALECTS } from './table.ts'
import { namesOf } from './unknown.ts'

export type Reading = {
  /** The next value of the answer; anything that is no report is ignored. */
  take(value: unknown): void
  /** What has been reported so far. */
  usage(): Reported
  /** Whether an error was among it. */
  failed(): boolean
  /** Names of members of a report that nobody understands; null if something was understood, or nothing reported. */
  unknown(): readonly string[] | null
}

type Readers<T extends 'read' | 'piece'> = readonly NonNullable<Dialect[T]>[]
const READERS: Readers<'read'> = DIALECTS.flatMap(({ read }) => read ?? [])
const PIECES: Readers<'piece'> = DIALECTS.flatMap(({ piece }) => piece ?? [])

export function createReading(): Reading {
  const pieces = createPieces()
  let whole = NOTHING
  let model: string | undefined
  let hasFailed = false
  let unknown: readonly string[] | null = null

  function said(): Said {
    return add(whole, pieces.all())
  }

  return {
    take(value) {
      if (!isObject(value)) return
      model = modelOf(value) ?? model
      hasFailed ||= isFailure(value)
      const piece = pieceOf(value)
      if (piece) pieces.take(piece)
      else for (const read of READERS) whole = merge(whole, read(value, whole) ?? NOTHING)
      unknown ??= namesOf(value)
    },
    usage: () => reported(said(), model),
    failed: () => hasFailed,
    unknown: () => (isNothing(said()) ? unknown : null),
  }
}

function pieceOf(value: unknown): Piece | null {
  for (const read of PIECES) {
    const piece = read(value)
    if (piece) return piece
  }
  return null
}

/** So many pieces of work are told from each other; of one that is reported again later, no session is long enough. */
const PIECES_MAX = 1000

/** Works that one answer or socket reports: each once, however often it is named. */
function createPieces() {
  const named = new Map<string, Said>()
  let others = NOTHING
  return {
    take({ name, said }: Piece): void {
      if (name === null) {
        others = add(others, said)
        return
      }
      named.set(name, merge(named.get(name) ?? NOTHING, said))
      if (named.size <= PIECES_MAX) return
      const [oldest] = named
      if (!oldest) return
      named.delete(oldest[0])
      others = add(others, oldest[1])
    },
    all: (): Said => [...named.values()].reduce(add, others),
  }
}

/** Gemini in OpenAI's form counts in the total what was thought, and names it nowhere. */
const COUNTED_BY_TOTAL = /gemini/i

function reported(said: Said, model: string | undefined): Reported {
  const byTotal = model !== undefined && COUNTED_BY_TOTAL.test(model) ? said.outputByTotal : 0
  const output = said.output === undefined ? undefined : Math.max(said.output, byTotal ?? 0)
  const long = Math.min(said.writtenLong ?? 0, said.written ?? said.writtenLong ?? 0)
  return within({
    model,
    input: said.input,
    output,
    cached: said.cached,
    reasoning: said.reasoning,
    parts: {
      cacheWritten5m: (said.written ?? long) - long,
      cacheWritten1h: long,
      audioInput: said.audioInput,
      audioOutput: said.audioOutput,
      imageInput: said.imageInput,
      imageOutput: said.imageOutput,
      images: said.images,
      seconds: said.seconds,
    },
  })
}
