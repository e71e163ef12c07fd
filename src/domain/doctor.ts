/** What an examination of the store finds. */

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
  /** How many of what is checked are not well, where they are counted. */
  readonly count?: number
  /** What was found, and what to do if it is not well. */
  readonly detail: string
}

export type Examination = { readonly ok: boolean; readonly findings: readonly Finding[] }
