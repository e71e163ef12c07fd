/** Spans of time in a zone that sums are taken by. Sums are kept by the hour, so an hour belongs to the span it begins in. */
import type { UsageSpan } from '../../domain/usage.ts'
import { validationFailed } from '../../errors.ts'
import { periodAt } from '../../quota/window.ts'

export const SPANS = ['hour', 'day', 'week', 'month'] as const
export type Span = (typeof SPANS)[number]

const HOUR_MS = 3_600_000

/** More than anybody reads. */
const SPANS_MAX = 2_000

/** Spans that cover a range, the first from where the range begins. Throws `validation_failed`. */
export function spansOf(span: Span, { from, to }: UsageSpan, timezone: string): UsageSpan[] {
  const spans: UsageSpan[] = []
  for (let at = from; at < to; ) {
    const end = span === 'hour' ? at - (at % HOUR_MS) + HOUR_MS : endOf(span, at, timezone)
    spans.push({ from: at, to: Math.min(end, to) })
    at = end
    if (spans.length > SPANS_MAX) throw tooMany(span)
  }
  return spans
}

function endOf(span: Exclude<Span, 'hour'>, at: number, timezone: string): number {
  return periodAt(span, at, timezone, 'monday').end ?? Number.POSITIVE_INFINITY
}

function tooMany(span: Span) {
  const message = `must leave at most ${SPANS_MAX} ${span}s in the range; ask for a shorter one, or for longer spans`
  return validationFailed([{ path: 'from', message }])
}
