/** What an examination finds. */
import { type Static, t } from 'elysia'

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

export const Finding = t.Object({
  check: t.UnionEnum([...CHECKS]),
  ok: t.Boolean(),
  detail: t.String({ description: 'What was found, and what to do if it is not well.' }),
})
export type Finding = Static<typeof Finding>

export const Examination = t.Object(
  { ok: t.Boolean({ description: 'Whether every check is.' }), findings: t.Array(Finding) },
  {
    examples: [
      {
        ok: true,
        findings: [
          { check: 'books', ok: true, detail: '42 counters balance with the ledger' },
          { check: 'holds', ok: true, detail: '3 open, none stuck' },
        ],
      },
    ],
  },
)
export type Examination = Static<typeof Examination>
