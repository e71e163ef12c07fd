/** The members that a walker has found in one value, as places in the piece under way, or as copies if it has passed. */
import { ITEMS } from './member.ts'
import { IS_SIGN, type WalkPlan } from './walk-plan.ts'

/** A longer member is there, but not read. JSON.parse takes a millisecond at most for as much. */
const MEMBER_BYTES_MAX = 64 * 1024
/** More than any API has to report of one value. Signs have as much room again. */
const MEMBERS_MAX = 1000

/** In the place of a start: it matters only that the member is there, which reads as `{}`. */
const IS_THERE = -1
/** The same of a member that is not read, which reads as `true`: neither empty nor anything that was asked for. */
const TOO_LONG = -2

type Pick = {
  node: number
  name: number
  /** Which items of lists lead to it; empty if it stands in none. */
  items: readonly number[]
  /** Where it lies, or IS_THERE or TOO_LONG. */
  start: number
  end: number
  copy: Uint8Array | null
}

const EMPTY = new Uint8Array(0)
const NO_ITEMS: readonly number[] = []
const TO_STRING = Buffer.prototype.toString
/** `null` in every chunk is no sign. */
const LETTER_N = 0x6e

export class Picks {
  readonly #plan: WalkPlan
  /** Reused from value to value. */
  readonly #found: Pick[] = []
  #piece: Uint8Array = EMPTY
  #node = 0
  #name = 0
  #items = NO_ITEMS
  #start = 0
  /** What came of the member under way in earlier pieces; null if it is too long. */
  #before: Uint8Array | null = EMPTY
  count = 0
  signs = 0
  /** The depth at which the member under way began; -1 if none is. */
  depth = -1

  constructor(plan: WalkPlan) {
    this.#plan = plan
  }

  get retained(): number {
    const kept = this.#found.slice(0, this.count)
    return kept.reduce((sum, { copy }) => sum + (copy?.length ?? 0), this.#before?.length ?? 0)
  }

  resume(piece: Uint8Array, from: number): void {
    this.#piece = piece
    if (this.depth >= 0) this.#start = from
  }

  /** A member that matters. `items` counts the items of lists by depth, of which `first` is that of the outermost members. */
  begin(node: number, name: number, items: Uint32Array, first: number): void {
    if (this.depth >= 0) return
    this.#node = node
    this.#name = name
    this.#items = NO_ITEMS
    const path = this.#plan.paths[node] ?? []
    for (let step = 0; step < path.length; step++) {
      if (path[step] === ITEMS) this.#items = [...this.#items, items[first + step] ?? 0]
    }
  }

  /** Its value begins here. */
  open(depth: number, at: number): void {
    if (this.depth >= 0) return
    this.depth = depth
    this.#start = at
  }

  present(): void {
    if (this.depth < 0) this.#add(IS_THERE, IS_THERE, null)
  }

  /** The value under way ends here. */
  end(at: number): void {
    const before = this.#before
    const length = (before?.length ?? 0) + at - this.#start
    const first = before?.[0] ?? this.#piece[this.#start]
    if (before === null || length > MEMBER_BYTES_MAX) this.#add(TOO_LONG, TOO_LONG, null)
    else {
      const isNull = first === LETTER_N
      const copy = before.length > 0 ? join(before, this.#piece, this.#start, at) : null
      this.#add(this.#start, at, copy, isNull)
    }
    this.#before = EMPTY
    this.depth = -1
  }

  #add(start: number, end: number, copy: Uint8Array | null, isNull = false): void {
    const isSign = !isNull && ((this.#plan.flags[this.#name] as number) & IS_SIGN) !== 0
    if (this.count >= (isSign ? 2 * MEMBERS_MAX : MEMBERS_MAX)) return
    if (isSign) this.signs++
    const pick = this.#found[this.count++]
    if (!pick) {
      const [node, name, items] = [this.#node, this.#name, this.#items]
      this.#found.push({ node, name, items, start, end, copy })
      return
    }
    pick.node = this.#node
    pick.name = this.#name
    pick.items = this.#items
    pick.start = start
    pick.end = end
    pick.copy = copy
  }

  /** The piece will not be there any more. */
  pause(to: number): void {
    for (let at = 0; at < this.count; at++) {
      const pick = this.#found[at] as Pick
      if (pick.start >= 0) pick.copy ??= copyOf(this.#piece, pick.start, pick.end)
    }
    if (this.depth >= 0 && this.#before !== null) {
      const isKept = this.#before.length + to - this.#start <= MEMBER_BYTES_MAX
      this.#before = isKept ? join(this.#before, this.#piece, this.#start, to) : null
    }
    this.#piece = EMPTY
  }

  /** Of several members with one name the last counts, as in JSON.parse. What cannot be parsed is left out. */
  value(): object {
    const value: Record<string, unknown> = {}
    /** Which item is the last of each list: items that hold nothing are left out. */
    const last = new Map<unknown, number>()
    for (let at = 0; at < this.count; at++) {
      const { node, name, items, start, end, copy } = this.#found[at] as Pick
      const around = descend(value, this.#plan.paths[node] ?? [], items, last)
      const key = this.#plan.names[name] as string
      if (start < 0) around[key] = start === TOO_LONG || {}
      else if (copy) around[key] = parse(toText(copy, 0, copy.length))
      else around[key] = parse(toText(this.#piece, start, end))
    }
    return value
  }

  clear(): void {
    this.count = this.signs = 0
    this.depth = -1
    this.#before = EMPTY
  }
}

/** Of a Buffer, without a view made for it. */
function toText(bytes: Uint8Array, from: number, to: number): string {
  return TO_STRING.call(bytes, 'utf8', from, to)
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Not by `slice`, which copies nothing of a Buffer. */
function copyOf(piece: Uint8Array, from: number, to: number): Uint8Array {
  return new Uint8Array(piece.subarray(from, to))
}

function join(before: Uint8Array, piece: Uint8Array, from: number, to: number): Uint8Array {
  const joined = new Uint8Array(before.length + to - from)
  joined.set(before)
  joined.set(piece.subarray(from, to), before.length)
  return joined
}

/** The object that the path leads to, made if it is not there. */
function descend(
  value: Record<string, unknown>,
  path: readonly string[],
  items: readonly number[],
  last: Map<unknown, number>,
): Record<string, unknown> {
  let around = value
  let list = 0
  for (const [at, step] of path.entries()) {
    if (step !== ITEMS) {
      around[step] ??= path[at + 1] === ITEMS ? [] : {}
      around = around[step] as Record<string, unknown>
      continue
    }
    const found: unknown = around
    // Of two members with one name, one a list and the other none.
    if (!Array.isArray(found)) return {}
    const item = items[list++] ?? 0
    if (last.get(found) !== item) {
      found.push({})
      last.set(found, item)
    }
    around = found.at(-1)
  }
  return around
}
