/** What no query of the admin API may hold: an unknown parameter, or one twice. */
import { t } from 'elysia'
import { validationFailed } from '../../errors.ts'

/** For a route without parameters. */
export const noQuery = t.Object({}, { additionalProperties: false })

/** A parameter that stands twice means two things, and choosing one of them would be a guess. */
export function refuseRepeated(request: Request): void {
  const names = [...new URLSearchParams(/\?([^#]*)/.exec(request.url)?.[1]).keys()]
  if (new Set(names).size === names.length) return
  throw validationFailed([{ path: '', message: 'must not hold a query parameter twice' }])
}
