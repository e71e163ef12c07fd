/** What the admin API takes about how the calls of an upstream are counted: what they cost, what they consume, at which price. */
import { t } from 'elysia'
import { integer } from '../../http/fields/integer.ts'
import { PRINTABLE, text } from '../../http/fields/text.ts'

/** A rule that makes one call cost more than this is a typing error. */
const REQUESTS_MAX = 1_000_000
/** A million units of money for a million tokens; with any number of tokens that fits a call the cost stays countable. */
const PRICE_MAX = 1_000_000_000_000
/** Past this a meter's estimate is a typing error. */
const ESTIMATE_MAX = 1_000_000_000_000

export const PATH_GLOB_RULE = 'must be a glob that begins with /, of at most 500 characters'
const MODEL_GLOB_RULE = 'must be a glob of 1 to 200 characters, without ! at its beginning'

export const pathGlob = text(`^/${PRINTABLE}{0,499}$`, {
  error: PATH_GLOB_RULE,
  examples: ['/chat/**'],
})
export const method = t.String({
  pattern: '^[A-Z][A-Z-]{0,31}$',
  error: 'must be a method in upper-case letters',
})
const price = (description: string) =>
  integer({
    minimum: 0,
    maximum: PRICE_MAX,
    error: `must be a whole number from 0 to ${PRICE_MAX}`,
    description,
  })

/** Of at most 200 characters, so that a look at an answer costs little. */
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
          description: 'Units reserved before the answer is known.',
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
    requests: integer({
      minimum: 0,
      maximum: REQUESTS_MAX,
      error: `must be a whole number from 0 to ${REQUESTS_MAX}`,
    }),
  },
  {
    additionalProperties: false,
    error: 'must be an object with path, requests and perhaps method',
  },
)

export const modelPrice = t.Object(
  {
    model: text(`^(?!!)${PRINTABLE}{1,200}$`, {
      error: MODEL_GLOB_RULE,
      examples: ['gpt-5*'],
    }),
    input: price('For a million tokens of input.'),
    cached_input: t.Optional(
      price('For a million tokens of input read from the upstream’s cache; as `input` if absent.'),
    ),
    output: price('For a million tokens of output.'),
  },
  { additionalProperties: false, error: 'must be an object with model, input and output' },
)
