/**
 * Reads one answer in whatever dialect it speaks: each JSON value of it in order, the whole of it or the members of
 * `REPORT`. What is known never shrinks: a stream that repeats its counts, or ends with zeros, takes nothing back. Pure;
 * takes any value at all, never throws, and counts nothing but whole numbers that are exact.
 */
import { isObject } from '../../lib/json/object.ts'
import { type Reported, within } from '../usage.ts'
import { askedBy, FAILURE, REPORT } from './asked.ts'
import type { Piece } from './dialect.ts'
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
  /** The name of the model, as `usage` has it. */
  readonly model: string | undefined
  /** Whether an error was among it. */
  failed(): boolean
  /** Names of members of a report that nobody understands; null if something was understood, or nothing reported. */
  unknown(): readonly string[] | null
}

export function createReading(): Reading {
  return new AnswerReading()
}

class AnswerReading implements Reading {
  /** Works that are reported one by one. */
  #pieces: Pieces | null = null
  #whole = NOTHING
  model: string | undefined
  #isByTotal = false
  #hasFailed = false
  #unknown: readonly string[] | null = null

  take(value: unknown): void {
    if (!isObject(value)) return
    const asked = askedBy(value)
    const model = modelOf(value)
    if (model !== undefined && model !== this.model) {
      this.model = model
      this.#isByTotal ||= isCountedByTotal(model)
    }
    if (asked & FAILURE) this.#hasFailed ||= isFailure(value)
    const piece = pieceOf(value, asked)
    if (piece) {
      this.#pieces ??= new Pieces()
      this.#pieces.take(piece)
    } else this.#whole = merge(this.#whole, readWhole(value, asked, this.#whole))
    if (asked & REPORT && this.#unknown === null && isNothing(this.#said()))
      this.#unknown = namesOf(value)
  }

  usage(): Reported {
    return usageOf(this.#said(), this.model, this.#isByTotal)
  }

  failed(): boolean {
    return this.#hasFailed
  }

  unknown(): readonly string[] | null {
    return this.#unknown !== null && isNothing(this.#said()) ? this.#unknown : null
  }

  #said(): Said {
    return this.#pieces === null ? this.#whole : add(this.#whole, this.#pieces.all())
  }
}

/** What a message reports that stands for itself: of one work, which may have a name. Null if it reports nothing. */
export function reportIn(message: object): Piece | null {
  if (!isObject(message)) return null
  const asked = askedBy(message)
  const piece = pieceOf(message, asked)
  if (piece) return piece
  const said = readWhole(message, asked, NOTHING)
  return isNothing(said) ? null : { name: null, said }
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
class Pieces {
  readonly #named = new Map<string, Said>()
  #others = NOTHING

  take({ name, said }: Piece): void {
    if (name === null) {
      this.#others = add(this.#others, said)
      return
    }
    const named = this.#named
    named.set(name, merge(named.get(name) ?? NOTHING, said))
    if (named.size <= PIECES_MAX) return
    const [oldest] = named
    if (!oldest) return
    named.delete(oldest[0])
    this.#others = add(this.#others, oldest[1])
  }

  all(): Said {
    return [...this.#named.values()].reduce(add, this.#others)
  }
}

/** Gemini in OpenAI's form counts in the total what was thought, and names it nowhere. */
function isCountedByTotal(model: string | undefined): boolean {
  return model !== undefined && /gemini/i.test(model)
}

export function usageOf(
  said: Said,
  model: string | undefined,
  isByTotal = isCountedByTotal(model),
): Reported {
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
