/**
 * Walks over JSON that arrives piece by piece, of any length and depth, in constant memory: it keeps nothing but the members
 * that its plan asks for, each up to a bound. It takes a value after the other, with or without line ends between them, and
 * the items of an outermost list as values of their own. It finds in any JSON what JSON.parse would find there, and does not
 * judge whether all of a text is JSON. Never throws.
 */
import { Picks } from './picks.ts'
import { CLOSE, COLON, COMMA, KINDS, QUOTE, SCALAR, SPACE } from './walk-bytes.ts'
import { IS_OBJECT, IS_TEXT, NODE_NONE, NODE_ROOT, PICKED, type WalkPlan } from './walk-plan.ts'
import { StringReader } from './walk-string.ts'

export class JsonWalker {
  readonly #plan: WalkPlan
  readonly #picks: Picks
  readonly #strings: StringReader
  readonly #onValue: (value: object) => void
  /** Whether values without a sign are handed on as well. */
  isEager = true
  /** Bytes of text in the members that are measured, without what escapes add to them. */
  written = 0

  #state = BETWEEN
  /** How many brackets are open, and how many of them stand around the values: one in an outermost list. */
  #depth = 0
  #base = 0
  /** The nodes of the objects that are open; deeper ones do not matter. */
  readonly #nodes = new Uint16Array(LEVELS)
  /** Of the lists that are open and matter: the nodes of their items, and which item is under way. */
  readonly #itemNodes = new Uint16Array(LEVELS)
  readonly #items = new Uint32Array(LEVELS)
  /** The last string, if it is a name of the plan, and the one whose value follows or is under way. */
  #last = 0
  #name = 0
  #isAfterColon = false
  /** Whether the string under way is measured. */
  #isMeasured = false
  /** Where the object began that is measured whole: its depth, and the place in this piece; -1 if there is none. */
  #wholeDepth = -1
  #wholeStart = 0
  /** `onValue` is given the members that were asked for, of each value that holds a sign. */
  constructor(plan: WalkPlan, onValue: (value: object) => void) {
    this.#plan = plan
    this.#picks = new Picks(plan)
    this.#strings = new StringReader(plan)
    this.#onValue = onValue
  }

  /** Whether what came is no JSON. */
  get isLost(): boolean {
    return this.#state === LOST
  }

  /** Whether the last byte stood in a text that is measured. */
  get isInText(): boolean {
    return this.#isMeasured || this.#wholeDepth >= 0
  }

  /** Bytes that are kept at this moment. */
  get retained(): number {
    return this.#picks.retained
  }

  write(piece: Uint8Array, from: number, to: number): void {
    this.#picks.resume(piece, from)
    this.#wholeStart = from
    let at = from
    while (at < to) {
      if (this.#state === IN_STRING) at = this.#string(piece, at, to)
      else if (this.#state === BETWEEN) at = this.#between(piece, at, to)
      else if (this.#state === IN_SCALAR) at = this.#scalar(piece, at, to)
      else return
    }
    if (this.#wholeDepth >= 0) this.written += to - this.#wholeStart
    this.#picks.pause(to)
  }

  /** The text has ended. What a value has said that was cut off counts. */
  end(): void {
    if (this.#depth > this.#base && this.#state !== LOST) this.#hand()
    this.drop()
  }

  /** Forgets a value that has no end: the next byte begins anew. */
  drop(): void {
    this.#picks.clear()
    this.#state = BETWEEN
    this.#depth = this.#base = 0
    this.#last = this.#name = 0
    this.#isAfterColon = this.#isMeasured = false
    this.#wholeDepth = -1
  }

  /** Up to the next string, or the next scalar that is read. */
  #between(piece: Uint8Array, from: number, to: number): number {
    for (let at = from; at < to; at++) {
      const kind = KINDS[piece[at] as number] as number
      if (kind === SPACE) continue
      if (kind === SCALAR) {
        if (this.#depth === 0) {
          this.#state = LOST
          return to
        }
        if (!this.#isAfterColon) continue
        this.#isAfterColon = false
        if (!this.#begins(this.#memberHere(), at)) continue
        this.#state = IN_SCALAR
        return at + 1
      }
      if (kind === QUOTE) return this.#openString(at)
      if (kind === COLON) {
        this.#name = this.#last
        this.#isAfterColon = true
      } else if (kind === COMMA) {
        this.#name = this.#last = 0
        this.#isAfterColon = false
        const depth = this.#depth
        if (depth < LEVELS && this.#itemNodes[depth] !== NODE_NONE) this.#countItem(depth)
      } else if (kind === CLOSE) this.#close(at + 1)
      else this.#open(piece[at] === BRACE, at)
    }
    return to
  }

  /** What the plan wants of the value that begins here. */
  #memberHere(): number {
    if (this.#name === 0 || this.#depth >= LEVELS) return NODE_NONE
    const { members, names } = this.#plan
    return members[(this.#nodes[this.#depth] as number) * names.length + this.#name] as number
  }

  /** Whether the value that begins here is read whole. */
  #begins(member: number, at: number): boolean {
    if (member >= NODE_NONE) return false
    const node = this.#nodes[this.#depth] as number
    // The outermost object of a value has no name, and its members stand one level deeper.
    const first = this.#base + 1
    this.#picks.begin(node, this.#name, this.#items, first)
    if (member === PICKED) this.#picks.open(this.#depth, at)
    else this.#picks.present()
    return member === PICKED
  }

  #countItem(depth: number): void {
    this.#items[depth] = (this.#items[depth] as number) + 1
  }

  #openString(at: number): number {
    this.#state = IN_STRING
    this.#strings.begin(!this.#isAfterColon)
    if (this.#isAfterColon) {
      this.#isAfterColon = false
      this.#begins(this.#memberHere(), at)
      const isText = ((this.#plan.flags[this.#name] as number) & IS_TEXT) !== 0
      this.#isMeasured = isText && this.#wholeDepth < 0
      this.#last = 0
    }
    return at + 1
  }

  #open(isObject: boolean, at: number): void {
    const node = this.#isAfterColon ? this.#openMember(at) : this.#openItem(isObject)
    const depth = ++this.#depth
    if (depth < LEVELS) {
      this.#nodes[depth] = isObject ? node : NODE_NONE
      this.#itemNodes[depth] = isObject ? NODE_NONE : (this.#plan.items[node] as number)
      this.#items[depth] = 0
    }
    this.#name = this.#last = 0
  }

  /** The node of the object or list that is a member. */
  #openMember(at: number): number {
    this.#isAfterColon = false
    const member = this.#memberHere()
    this.#begins(member, at)
    const isMeasured = ((this.#plan.flags[this.#name] as number) & IS_OBJECT) !== 0
    if (isMeasured && this.#wholeDepth < 0) {
      this.#wholeDepth = this.#depth
      this.#wholeStart = at
    }
    return Math.max(member, NODE_NONE)
  }

  /** The node of the object or list that is an item, or a value of its own. */
  #openItem(isObject: boolean): number {
    const depth = this.#depth
    if (depth !== this.#base) return depth < LEVELS ? (this.#itemNodes[depth] as number) : NODE_NONE
    if (isObject) return NODE_ROOT
    if (depth === 0) this.#base = 1
    return NODE_NONE
  }

  #close(end: number): void {
    if (this.#depth === 0) {
      this.#state = LOST
      return
    }
    const depth = --this.#depth
    if (depth === this.#picks.depth) this.#picks.end(end)
    if (depth === this.#wholeDepth) {
      this.written += end - this.#wholeStart
      this.#wholeDepth = -1
    }
    this.#name = this.#last = 0
    this.#isAfterColon = false
    if (depth > this.#base) return
    if (depth < this.#base) this.#base = 0
    else if (this.#picks.count > 0) this.#hand()
  }

  #hand(): void {
    const isWorth = this.#picks.signs > 0 || (this.isEager && this.#picks.count > 0)
    if (isWorth) this.#onValue(this.#picks.value())
    this.#picks.clear()
  }

  #scalar(piece: Uint8Array, from: number, to: number): number {
    let at = from
    while (at < to && KINDS[piece[at] as number] === SCALAR) at++
    if (at < to) {
      this.#picks.end(at)
      this.#state = BETWEEN
    }
    return at
  }

  #string(piece: Uint8Array, from: number, to: number): number {
    const strings = this.#strings
    const end = strings.read(piece, from, to)
    if (this.#isMeasured) this.written += strings.bytes
    if (end < 0) return to
    this.#state = BETWEEN
    this.#last = strings.name
    this.#isMeasured = false
    if (this.#depth === this.#picks.depth) this.#picks.end(end)
    return end
  }
}

/** More than any shape has. */
const LEVELS = 12
const BRACE = 0x7b

const BETWEEN = 0
const IN_STRING = 1
const IN_SCALAR = 2
const LOST = 3
