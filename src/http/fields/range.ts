/** A range of time in a query, `[from, to)`. */
import { t } from 'elysia'
import { type FieldError, validationFailed } from '../../errors.ts'
import { INSTANT_RULE, parseInstant } from '../../lib/clock.ts'
import { INSTANT_FORM } from './instant.ts'

export const instant = (description: string) =>
  t.String({ error: INSTANT_RULE, documented: INSTANT_FORM, description })

export const rangeQuery = {
  from: t.Optional(instant('Only hours that begin at or after this instant.')),
  to: t.Optional(instant('Only hours that begin before this instant.')),
}

/** Instants, ms. Throws `validation_failed`. */
export function readRange(query: Partial<Record<'from' | 'to', string | undefined>>) {
  const range: { from?: number; to?: number } = {}
  const errors: FieldError[] = []
  for (const path of ['from', 'to'] as const) {
    const text = query[path]
    if (text === undefined) continue
    const at = parseInstant(text)
    if (at === null) errors.push({ path, message: INSTANT_RULE })
    else range[path] = at
  }
  if (errors.length > 0) throw validationFailed(errors)
  return range
}
