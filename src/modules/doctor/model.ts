/** An examination as the admin API shows it. */
import { t } from 'elysia'
import { CHECKS } from '../../domain/store.ts'
import { integer } from '../../http/fields/integer.ts'

const Finding = t.Object({
  check: t.UnionEnum([...CHECKS]),
  ok: t.Boolean(),
  count: t.Optional(
    integer({ description: 'How many of what is checked are not well, where they are counted.' }),
  ),
  detail: t.String({ description: 'What was found, and what to do if it is not well.' }),
})

export const Examination = t.Object(
  { ok: t.Boolean({ description: 'Whether every check is.' }), findings: t.Array(Finding) },
  {
    examples: [
      {
        ok: true,
        findings: [
          { check: 'books', ok: true, count: 0, detail: '42 counters balance with the ledger' },
          { check: 'holds', ok: true, count: 0, detail: '3 open, none stuck' },
        ],
      },
    ],
  },
)
