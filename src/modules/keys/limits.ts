/** How the admin API takes and shows the limits of a key. */
import { t } from 'elysia'
import { MAIN_LIMIT } from '../../domain/key.ts'
import {
  AMOUNT_MAX,
  LIMIT_NAME,
  UNITS,
  WEEK_STARTS,
  WINDOWS,
  ZONE_NAME,
  ZONE_RULE,
} from '../../domain/limit.ts'
import { oneOf } from '../../http/fields/choice.ts'
import { shownInstantOrNull } from '../../http/fields/instant.ts'
import { integer, wholeNumber, wholeNumberOrNull } from '../../http/fields/integer.ts'
import { LIMIT_UNITS, MICROS } from '../../http/fields/money.ts'
import { orNull } from '../../http/fields/nullable.ts'

/** Beside the quota. */
export const LIMITS_MAX = 16

const amount = (options: { description?: string; examples?: number[] } = {}) =>
  wholeNumberOrNull(0, AMOUNT_MAX, ' for unlimited', options)

export const quota = amount({
  description: 'Requests that may be made per `window`; `null` is unlimited, `0` denies.',
  examples: [1000],
})

const window = oneOf(WINDOWS, {
  description:
    'How often the quota starts anew. `minute` and `hour` slide; the longer ones follow the calendar.',
})
const timezone = t.String({
  documented: { pattern: ZONE_NAME.source },
  error: ZONE_RULE,
  description: 'IANA time zone of calendar windows.',
  examples: ['UTC'],
})
const weekStart = oneOf(WEEK_STARTS)

/** A limit beside the quota. */
const Limit = t.Object(
  {
    name: t.Optional(
      t.String({
        pattern: LIMIT_NAME.source,
        error: 'must be 1 to 32 lower-case letters, digits and dashes',
        documented: { not: { const: MAIN_LIMIT } },
        description: 'Unique within the key; made from unit and window unless given.',
      }),
    ),
    unit: oneOf(UNITS),
    amount: amount({ description: LIMIT_UNITS }),
    window,
    timezone: t.Optional(timezone),
    week_start: t.Optional(weekStart),
  },
  {
    title: 'Limit',
    additionalProperties: false,
    error: 'must be an object with unit, amount and window',
  },
)

/** What a change may say of single limits. `limits` replaces all of them. */
export const limitChanges = {
  set_limits: t.Optional(
    t.Array(Limit, {
      maxItems: LIMITS_MAX,
      error: `must be a list of at most ${LIMITS_MAX} limits`,
      description:
        'Limits to add, or to take the place of those of the same name. The others stay.',
    }),
  ),
  remove_limits: t.Optional(
    t.Array(t.String(), {
      maxItems: LIMITS_MAX,
      error: `must be a list of at most ${LIMITS_MAX} names`,
      description: 'Names of limits to remove. The others stay.',
    }),
  ),
}

/** When the quota starts anew, and the limits beside it. */
export const limitFields = {
  window: t.Optional(window),
  timezone: t.Optional(timezone),
  week_start: t.Optional(weekStart),
  limits: t.Optional(
    t.Array(Limit, {
      maxItems: LIMITS_MAX,
      error: `must be a list of at most ${LIMITS_MAX} limits`,
      description:
        'Further limits; all of them and the quota must have room, or nothing is charged.',
    }),
  ),
}

export const LimitState = t.Object(
  {
    name: t.String(),
    unit: t.String(),
    amount: orNull(integer(), { description: LIMIT_UNITS }),
    window: t.String(),
    timezone: t.String(),
    week_start: t.String(),
    credited: integer({ description: LIMIT_UNITS }),
    used: integer({ description: LIMIT_UNITS }),
    remaining: orNull(integer(), { description: LIMIT_UNITS }),
    resets_at: shownInstantOrNull,
  },
  { title: 'LimitState' },
)

const RESERVE_MAX_RULE = 'must be an object with tokens, cost or both, or null'

/** A bound of nothing would let a key that has nothing left go on for ever. */
export const reserveMax = orNull(
  t.Object(
    {
      tokens: t.Optional(wholeNumber(1, AMOUNT_MAX)),
      cost: t.Optional(wholeNumber(1, AMOUNT_MAX, { description: MICROS })),
    },
    { additionalProperties: false, minProperties: 1, error: RESERVE_MAX_RULE },
  ),
  {
    error: RESERVE_MAX_RULE,
    description:
      'Most tokens and most cost that one call reserves, whatever it asks for. The rest is settled by the upstream’s report, which may pass a limit by as much. `null` is no bound.',
    examples: [{ tokens: 8000 }],
  },
)

export const shownReserveMax = orNull(
  t.Object({ tokens: t.Optional(integer()), cost: t.Optional(integer({ description: MICROS })) }),
  { description: 'Most that one call reserves; null is no bound.' },
)
