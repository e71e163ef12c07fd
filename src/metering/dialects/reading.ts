/**
 * Reads one answer in whatever dialect it speaks: each JSON value of it in order, the whole of it or the members of
 * `REPORT`. What is known never shrinks: a stream that repeats its counts, or ends with zeros, takes nothing back. Pure;
 * takes any value at all, never throws, and counts nothing but whole numbers that are exact.
 */
import { isObject } from '../../lib/json/object.ts'
import { type Reported, within } from '../usage.ts'
import type { Piece } from './dialect.ts'
import { FAILURE_MEMBERS, isFailure } from './failure.ts'
import { modelOf } from './model.ts'
import { add, isNothing, merge, NOTHING, type Said } from './said.ts'
import { DIALECTS } from './table.ts'
import { namesOf, UNKNOWN_MEMBERS } from './unknown.ts'

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

/** By the names of members that make it worthwhile, whom to ask, as bits of a number: dialects by their places. */
const ASKED = new Map<string, number>()
const FAILURE = 1 << 30
const REPORT = 1 << 29
const enter = (bit: number) => (name: string) => ASKED.set(name, (ASKED.get(name) ?? 0) | bit)
for (const [index, { members }] of DIALECTS.entries()) members.forEach(enter(1 << index))
FAILURE_MEMBERS.forEach(enter(FAILURE))
UNKNOWN_MEMBERS.forEach(enter(REPORT))

function askedBy(answer: Record<string, unknown>): number {
  let asked = 0
  for (const name of Object.keys(answer)) asked |= ASKED.get(name) ?? 0
  return asked
}

export function createReading(): Reading {
  const pieces = createPieces()
  let whole = NOTHING
  let model: string | undefined
  let isByTotal = false
  let hasFailed = false
  let unknown: readonly string[] | null = null

  function said(): Said {
    return add(whole, pieces.all())
  }

  return {
    take(value) {
      if (!isObject(value)) return
      const asked = askedBy(value)
      model = modelOf(value) ?? model
      isByTotal ||= COUNTED_BY_TOTAL.test(model ?? '')
      if (asked & FAILURE) hasFailed ||= isFailure(value)
      const piece = pieceOf(value, asked)
      if (piece) pieces.take(piece)
      else whole = merge(whole, readWhole(value, asked, whole))
      if (asked & REPORT) unknown ??= namesOf(value)
    },
    usage: () => reported(said(), model, isByTotal),
    failed: () => hasFailed,
    unknown: () => (isNothing(said()) ? unknown : null),
  }
}

function readWhole(answer: unknown, asked: number, before: Said): Said {
  let all = NOTHING
  for (let index = 0; index < DIALECTS.length; index++) {
    const said = asked & (1 << index) ? DIALECTS[index]?.read?.(answer, before) : undefined
    if (said) all = merge(all, said)
  }
  return all
}

function pieceOf(answer: unknown, asked: number): Piece | null {
  for (let index = 0; index < DIALECTS.length; index++) {
    const piece = asked & (1 << index) ? DIALECTS[index]?.piece?.(answer) : null
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

function reported(said: Said, model: string | undefined, isByTotal: boolean): Reported {
  const byTotal = isByTotal ? (said.outputByTotal ?? 0) : 0
  const output = said.output === undefined ? undefined : Math.max(said.output, byTotal)
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
