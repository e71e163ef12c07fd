/** Credits and resets of the limits of a key, as the admin API takes and shows them. */
import { type Static, t } from 'elysia'
import { AMOUNT_MAX, LIMIT_NAME } from '../../domain/limit.ts'
import { shownInstant } from '../../http/fields/instant.ts'
import { integer } from '../../http/fields/integer.ts'
import { LIMIT_UNITS } from '../../http/fields/money.ts'
import { text } from '../../http/fields/text.ts'
import { listOf } from '../../http/pagination.ts'
import { printable } from '../../lib/text/printable.ts'
import { quota } from './limits.ts'

export const CreditKey = t.Object(
  {
    amount: integer({
      minimum: -AMOUNT_MAX,
      maximum: AMOUNT_MAX,
      error: 'must be a whole number other than 0',
      documented: { not: { const: 0 } },
      description: `Units to add to the present period; a negative number takes. ${LIMIT_UNITS}`,
      examples: [500],
    }),
    limit: t.Optional(
      t.String({
        pattern: LIMIT_NAME.source,
        error: 'must be the name of a limit',
        description: 'A limit of the key that has an amount; the main quota unless given.',
      }),
    ),
    reason: t.Optional(
      text(printable(0, 500), {
        error: 'must be at most 500 characters without control characters',
        description: 'Kept with the credit.',
      }),
    ),
  },
  { additionalProperties: false, examples: [{ amount: 500, reason: 'goodwill' }] },
)
export type CreditKey = Static<typeof CreditKey>

export const ResetKey = t.Object(
  { quota: t.Optional(quota) },
  { title: 'ResetKey', additionalProperties: false, examples: [{ quota: 2000 }] },
)

export const Adjustment = t.Object(
  {
    id: t.String(),
    key_id: t.String(),
    at: shownInstant,
    kind: t.Union([t.Literal('credit'), t.Literal('reset')]),
    limit: t.String({
      description: 'The name that the limit had then; `quota` is the main one, in requests.',
    }),
    amount: integer({
      description: `Units credited, negative if they were taken. Of a reset, the units that had been used. ${LIMIT_UNITS}`,
    }),
    reason: t.String({ description: 'Empty if none was given; a reset takes none.' }),
  },
  { title: 'Adjustment' },
)
export type Adjustment = Static<typeof Adjustment>

const adjustmentExamples = [
  {
    id: 'adj_18', key_id: 'key_4hXcQ0m2VtYb7LrKp9Zs', at: '2026-11-23T08:30:00Z', kind: 'reset',
    limit: 'quota', amount: 258, reason: '',
  },
  {
    id: 'adj_17', key_id: 'key_4hXcQ0m2VtYb7LrKp9Zs', at: '2026-11-22T16:05:31.207Z', kind: 'credit',
    limit: 'quota', amount: 500, reason: 'goodwill',
  },
] // biome-ignore format: as they are read

export const AdjustmentList = listOf(Adjustment, adjustmentExamples, 'AdjustmentList')
