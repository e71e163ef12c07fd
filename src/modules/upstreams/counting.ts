/**
 * How the admin API takes and shows what the calls of an upstream cost, and what they consume.
 */
import { t } from 'elysia'
import { integer, wholeNumber } from '../../http/fields/integer.ts'
import { text } from '../../http/fields/text.ts'
import { printable } from '../../lib/text/printable.ts'

/** A rule by which one call costs more is a typing error. */
const REQUESTS_MAX = 1_000_000
/** A larger estimate is a typing error. */
const ESTIMATE_MAX = 1_000_000_000_000

export const PATH_GLOB_RULE = 'must be a glob that begins with /, of at most 500 characters'

export const pathGlob = text(printable(0, 499, '/'), {
  error: PATH_GLOB_RULE,
  examples: ['/chat/**'],
})
export const method = t.String({
  pattern: '^[A-Z][A-Z-]{0,31}$',
  error: 'must be a method in upper-case letters',
})

/** At most 200 characters, so that reading an answer costs little. */
const JSON_PATH =
  "^(?=[^]{1,200}$)\\$(?:\\.[A-Za-z_][A-Za-z0-9_-]*|\\[[0-9]{1,9}\\]|\\['[^'\\\\]+'\\]){1,32}$"

export const meter = t.Union(
  [
    t.Object({ kind: t.Literal('none') }, { additionalProperties: false }),
    t.Object(
      {
        kind: t.Literal('tokens'),
        output_tokens_default: t.Optional(
          integer({
            minimum: 0,
            maximum: ESTIMATE_MAX,
            description: 'Tokens reserved for an answer to a call that names no limit of its own.',
          }),
        ),
      },
      { additionalProperties: false },
    ),
    t.Object(
      {
        kind: t.Literal('json'),
        path: text(JSON_PATH, {
          description: 'A JSONPath that names one number of the answer.',
          examples: ['$.usage.credits'],
        }),
        unit: t.Union([t.Literal('tokens'), t.Literal('cost')]),
        estimate: integer({
          minimum: 0,
          maximum: ESTIMATE_MAX,
          description: `Units reserved before the answer is known. Cost is in micro-units of \`currency\`.`,
        }),
      },
      { additionalProperties: false },
    ),
  ],
  {
    error:
      'must be {"kind": "none"}, {"kind": "tokens"} with a whole output_tokens_default if wanted, or {"kind": "json"} with path (such as $.usage.credits), unit (tokens or cost) and a whole estimate',
    description: 'How what a call consumed is read from its answer; `tokens` unless given.',
  },
)

export const costRule = t.Object(
  {
    method: t.Optional(method),
    path: pathGlob,
    requests: wholeNumber(0, REQUESTS_MAX),
  },
  {
    additionalProperties: false,
    error: 'must be an object with path, requests and perhaps method',
  },
)

export const ShownMeter = t.Object(
  {
    kind: t.Union([t.Literal('none'), t.Literal('tokens'), t.Literal('json')]),
    output_tokens_default: t.Optional(integer()),
    path: t.Optional(t.String()),
    unit: t.Optional(t.Union([t.Literal('tokens'), t.Literal('cost')])),
    estimate: t.Optional(integer()),
  },
  { title: 'Meter' },
)

export const ShownCost = t.Object({
  method: t.Optional(t.String()),
  path: t.String(),
  requests: integer(),
})
