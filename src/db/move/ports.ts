/** What a move needs of an engine: one side that it reads and never changes, and one that it fills. */
import { type Row, TABLES, type Table } from './tables.ts'

/** Where the next page begins, as the reader of an engine says it. It can be written as JSON. */
export type Cursor = readonly (number | string)[]

/** `next` is null at the end of the table. */
export type Page = { readonly rows: readonly Row[]; readonly next: Cursor | null }

/** A call in flight. Nobody serves the database, so its process died. */
export type OpenHold = {
  readonly seq: number
  readonly keySeq: number
  readonly at: number
  readonly upstream: string
  readonly requestId: string
  readonly requests: number
  readonly tokens: number
  readonly cost: number
  readonly counters: readonly number[]
}

/** Of a row of `usage_hourly`, what tells it from others. */
export type UsageName = {
  readonly hour: number
  readonly keySeq: number
  readonly upstream: string
  readonly model: string
}

export type Reader = {
  /** So many rows at most, after the cursor. */
  page(table: Table, after: Cursor | null): Promise<Page>
  /** What the table's `figures` come to, as text: sums may be beyond the numbers of JavaScript. */
  figures(table: Table): Promise<readonly string[]>
  holds(): Promise<readonly OpenHold[]>
  hasUsage(name: UsageName): Promise<boolean>
}

/** The highest number that was given out, by table; `calls` is one of them. */
export type Numbers = Readonly<Record<string, number>>

export type Source = Reader & {
  /** Who serves it, if it was opened for a plan only and somebody does; else null, and nobody can begin to unnoticed. */
  readonly served: string | null
  /** Tells it from other databases, whatever is done in it. */
  identity(): Promise<string>
  numbers(): Promise<Numbers>
  /** What is read from now on is what is there by now. Rejects with MoveRefused if somebody serves the database. */
  renew(): Promise<void>
  close(): Promise<void>
}

/** How far a copy is: it goes on in this table, after this cursor. Tables before it are done; all are if it is null. */
export type Progress = { readonly table: string | null; readonly after: Cursor | null }

export const FROM_THE_START: Progress = { table: TABLES[0]?.name ?? null, after: null }

/** Stands in the target until the copy is whole. */
export type Marker = {
  /** The `identity` of the source. */
  readonly source: string
  /** What the source held when the copy began. Another state is copied anew. */
  readonly state: string
  /** When the copy began. */
  readonly at: number
  readonly progress: Progress
}

export type TargetState =
  /** Nothing is there, or nothing but tables. */
  | { readonly kind: 'empty' }
  | { readonly kind: 'unfinished'; readonly marker: Marker }
  | { readonly kind: 'filled' }

export type Target = {
  readonly state: TargetState
  /** Of what is there now; only of one that is filled. */
  reader(): Reader
  /** Begins a copy, after removing the one that was begun before if it is begun `again`; or goes on with that. */
  begin(marker: Marker, how: 'new' | 'again' | 'resumed', numbers: Numbers): Promise<Copy>
  close(): Promise<void>
}

/** A target while it is filled. What was written is there after any crash, and servers refuse it until `finish`. */
export type Copy = {
  readonly reader: Reader
  /** Where it goes on: further than the plan saw if another process had just been at work. */
  readonly progress: Progress
  /** Writes the rows and how far the copy is then: both, or neither. */
  write(table: Table, rows: readonly Row[], progress: Progress): Promise<void>
  /** The next copy begins anew. */
  spoil(): Promise<void>
  /** Lets numbers go on where they ended, and makes the copy a database that can be served. */
  finish(): Promise<void>
}

/** The move cannot begin. The message says what to do; nothing was changed. */
export class MoveRefused extends Error {
  override readonly name = 'MoveRefused'
}

/** Rows of one page: each is written in one transaction and is in memory at once. */
export const PAGE_ROWS = 1_000
