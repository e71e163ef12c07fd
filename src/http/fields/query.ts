/** What a query may not hold, for every route of the admin API: a parameter it does not know, or one twice. */
import { t } from 'elysia'
import { validationFailed } from '../problem.ts'

/** Of a route without parameters. */
export const noQuery = t.Object({}, { additionalProperties: false })

/** A parameter that is given twice means two things, and choosing one of them would be a guess. */
export function refuseRepeated(request: Request): void {
  const names = [...new URLSearchParams(/\?([^#]*)/.exec(request.url)?.[1]).keys()]
  if (new Set(names).size === names.length) return
  throw validationFailed([{ path: '', message: 'must not hold a query parameter twice' }])
}
