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
] as const

export type Finding = {
  readonly check: (typeof CHECKS)[number]
  readonly ok: boolean
  /** What was found, and what to do if it is not well. */
  readonly detail: string
}

export type Examination = { readonly ok: boolean; readonly findings: readonly Finding[] }
