/**
 * Instants in schemas of the admin API: ISO 8601 with an offset as a request gives them, UTC as an
 * answer shows them.
 */
import { t } from 'elysia'
import { formatInstant, INSTANT } from '../../lib/clock.ts'
import { orNull } from './nullable.ts'

/** For the API document. No schema that validates says which days and hours there are. */
export const INSTANT_FORM = { format: 'date-time', pattern: INSTANT.source }

export const shownInstant = t.String({ format: 'date-time' })
export const shownInstantOrNull = orNull(shownInstant)

export function showInstant(at: number | null): string | null {
  return at === null ? null : formatInstant(at)
}
