/** Prices as the admin API takes and shows them: each of their members has one row here. */
import { type Static, t } from 'elysia'
import { PRICE_MAX, PRICES_MAX, type Price, type TokenPrices } from '../../domain/upstream/price.ts'
import { integer, wholeNumber } from '../../http/fields/integer.ts'
import { MICROS } from '../../http/fields/money.ts'
import { text } from '../../http/fields/text.ts'
import { printable } from '../../lib/text/printable.ts'

/** No model reads a billion tokens at once. */
const ABOVE_MAX = 1_000_000_000

const MODEL_GLOB_RULE = 'must be a glob of 1 to 200 characters, without ! at its beginning'

const price = (what: string) => wholeNumber(0, PRICE_MAX, { description: `${what} ${MICROS}` })
const part = (description: string) => t.Optional(price(description))

const tokenPrices = {
  input: price('For a million tokens of input.'),
  cached_input: part(
    'For a million tokens of input read from the upstream’s cache; as `input` if absent.',
  ),
  cache_write_5m: part(
    'For a million tokens of input written to the upstream’s cache for five minutes; as `input` if absent.',
  ),
  cache_write_1h: part('The same, for an hour; as `cache_write_5m` if absent.'),
  output: price('For a million tokens of output.'),
  reasoning: part('For a million tokens of output thought and not shown; as `output` if absent.'),
  audio_input: part('For a million tokens of sound read; as `input` if absent.'),
  audio_output: part('For a million tokens of sound made; as `output` if absent.'),
  image_input: part('For a million tokens of images read; as `input` if absent.'),
  image_output: part('For a million tokens of images made; as `output` if absent.'),
}

const modelPrice = t.Object(
  {
    model: text(printable(1, 200, '(?!!)'), {
      error: MODEL_GLOB_RULE,
      description: 'The name of a model, or a glob on names. A name wins over a glob.',
      examples: ['gpt-5*'],
    }),
    ...tokenPrices,
    long_context: t.Optional(
      t.Object(
        {
          above: wholeNumber(1, ABOVE_MAX, { description: 'Tokens of input.' }),
          ...tokenPrices,
        },
        {
          additionalProperties: false,
          error:
            'must be an object with above, input and output, and perhaps other prices of tokens',
          description:
            'Prices of all tokens of a call whose input has more than `above`, in the place of the others; none of those counts then.',
        },
      ),
    ),
    per_call: part('For each call that has done work, beside its tokens.'),
    per_image: part('For each image that was made.'),
    per_second: part('For each second of sound that was read or made.'),
  },
  { additionalProperties: false, error: 'must be an object with model, input and output' },
)
type Given = Static<typeof modelPrice>

export const modelPrices = t.Array(modelPrice, {
  maxItems: PRICES_MAX,
  error: `must be a list of at most ${PRICES_MAX} prices`,
  description:
    'In micro-units of `currency`: 2500000 is 2.50. A price for the very name of a model is taken, or else the first whose glob fits. A change counts for calls from then on.',
})

const micros = integer({ description: MICROS })

const shownTokenPrices = {
  input: micros,
  cached_input: t.Optional(micros),
  cache_write_5m: t.Optional(micros),
  cache_write_1h: t.Optional(micros),
  output: micros,
  reasoning: t.Optional(micros),
  audio_input: t.Optional(micros),
  audio_output: t.Optional(micros),
  image_input: t.Optional(micros),
  image_output: t.Optional(micros),
}

export const ShownPrice = t.Object(
  {
    model: t.String(),
    ...shownTokenPrices,
    long_context: t.Optional(t.Object({ above: integer(), ...shownTokenPrices })),
    per_call: t.Optional(micros),
    per_image: t.Optional(micros),
    per_second: t.Optional(micros),
  },
  { title: 'Price' },
)
type Shown = Static<typeof ShownPrice>
type ShownTokenPrices = Pick<Shown, 'input' | 'output'>

/** By the name in the API. */
const TOKEN_NAMES = {
  input: 'input',
  cached_input: 'cachedInput',
  output: 'output',
  cache_write_5m: 'cacheWrite5m',
  cache_write_1h: 'cacheWrite1h',
  reasoning: 'reasoning',
  audio_input: 'audioInput',
  audio_output: 'audioOutput',
  image_input: 'imageInput',
  image_output: 'imageOutput',
} as const
const OTHER_NAMES = {
  per_call: 'perCall',
  per_image: 'perImage',
  per_second: 'perSecond',
} as const

/** In one order of members, so that equal lists are equal as text. */
export function readPrices(given: readonly Given[]): readonly Price[] {
  return given.map(({ model, long_context, ...prices }) => ({
    model,
    ...(renamed(prices, TOKEN_NAMES) as TokenPrices),
    ...(long_context && {
      longContext: {
        above: long_context.above,
        ...(renamed(long_context, TOKEN_NAMES) as TokenPrices),
      },
    }),
    ...renamed(prices, OTHER_NAMES),
  }))
}

export function showPrice({ model, longContext, ...prices }: Price): Shown {
  return {
    model,
    ...(renamed(prices, turned(TOKEN_NAMES)) as ShownTokenPrices),
    ...(longContext && {
      long_context: {
        above: longContext.above,
        ...(renamed(longContext, turned(TOKEN_NAMES)) as ShownTokenPrices),
      },
    }),
    ...renamed(prices, turned(OTHER_NAMES)),
  }
}

type Numbers = Readonly<Record<string, unknown>>

/** The members that are there, by their other names. */
function renamed(members: Numbers, names: Readonly<Record<string, string>>): Numbers {
  return Object.fromEntries(
    Object.entries(names).flatMap(([from, to]) =>
      members[from] === undefined ? [] : [[to, members[from]]],
    ),
  )
}

function turned(names: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(names).map(([api, own]) => [own, api]))
}
