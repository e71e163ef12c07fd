/** What the API says of an examination. */
import { t } from 'elysia'
import { CHECKS } from './store.ts'

const Finding = t.Object({
  check: t.UnionEnum([...CHECKS]),
  ok: t.Boolean(),
  detail: t.String({ description: 'What was found, and what to do if it is not well.' }),
})

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
