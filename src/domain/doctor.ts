/** What an examination of the database found. */

export const CHECKS = [
  'books',
  'holds',
  'integrity',
  'foreign_keys',
  'clock',
  'wal',
  'disk',
  'sqlite',
  'backup',
] as const

export type Finding = {
  readonly check: (typeof CHECKS)[number]
  readonly ok: boolean
  /** How many of the things checked are faulty, where they can be counted. */
  readonly count?: number
  /** What was found, and what to do about a fault. */
  readonly detail: string
}

export type Examination = { readonly ok: boolean; readonly findings: readonly Finding[] }
