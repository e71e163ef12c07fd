/** Usage of all keys together, by spans of time and by one thing that a call has. */
import { type Static, t } from 'elysia'
import {
  NO_USAGE,
  USAGE_DIMENSIONS,
  type UsageDimension,
  type UsageFilter,
  type UsageGroup,
  type UsageReader,
  type UsageSpan,
} from '../../domain/usage.ts'
import { currency } from '../../http/fields/money.ts'
import { showUsageSums, usageSums } from '../../http/fields/usage-sums.ts'
import { formatInstant } from '../../lib/clock.ts'
import { SPANS, type Span, spansOf } from './spans.ts'

const optionalText = (description: string) => t.Optional(t.String({ description }))

const Group = t.Object(
  {
    from: optionalText('The first instant of the span, if the sums are by spans.'),
    key_id: optionalText('The key, if the sums are by key.'),
    key_name: optionalText('Its name.'),
    upstream: optionalText('The upstream, if the sums are by upstream; empty for other endpoints.'),
    model: optionalText('The model, if the sums are by model; empty if none is known.'),
    tag: optionalText('The tag, if the sums are by tag; empty for keys without one.'),
    ...usageSums,
  },
  { title: 'UsageGroup' },
)
type Group = Static<typeof Group>

export const UsageGroups = t.Object(
  {
    object: t.Literal('list'),
    data: t.Array(Group),
    has_more: t.Boolean(),
    next: t.Null(),
    currency,
    total: t.Object(usageSums, { description: 'Of the whole range, each call once.' }),
  },
  { title: 'UsageGroups' },
)

export type By = { readonly span: Span | null; readonly dimension: UsageDimension | null }

const SPAN = SPANS.join('|')
const DIMENSION = USAGE_DIMENSIONS.join('|')

/** A span, a dimension, or both with a comma. */
export const BY = new RegExp(
  `^(?:(?:${SPAN}|${DIMENSION})|(?:${SPAN}),(?:${DIMENSION})|(?:${DIMENSION}),(?:${SPAN}))$`,
)
export const BY_RULE = `must be one of ${[...SPANS, ...USAGE_DIMENSIONS].join(', ')}, or a span of time and one of the others with a comma`

/** Of a text that BY fits. */
export function readBy(text: string): By {
  const words = text.split(',')
  const span = SPANS.find((one) => words.includes(one)) ?? null
  const dimension = USAGE_DIMENSIONS.find((one) => words.includes(one)) ?? null
  return { span, dimension }
}

export async function listGroups(
  usage: UsageReader,
  filter: UsageFilter,
  range: UsageSpan,
  { by: { span, dimension }, timezone }: { readonly by: By; readonly timezone: string },
): Promise<Omit<Static<typeof UsageGroups>, 'currency'>> {
  const spans = span === null ? [range] : spansOf(span, range, timezone)
  const groups = await usage.groups(filter, spans, dimension)
  // By tag a call may count several times, so the whole is asked for by itself.
  const [whole] = await usage.groups(filter, [range], null)
  const data = groups.map((group) => show(group, span, dimension))
  const total = showUsageSums(whole ?? NO_USAGE)
  return { object: 'list', data, has_more: false, next: null, total }
}

function show(group: UsageGroup, span: Span | null, dimension: UsageDimension | null): Group {
  return {
    ...(span !== null && { from: formatInstant(group.from) }),
    ...(group.key && { key_id: group.key.id, key_name: group.key.name }),
    ...(dimension !== null && dimension !== 'key' && { [dimension]: group.value }),
    ...showUsageSums(group),
  }
}
