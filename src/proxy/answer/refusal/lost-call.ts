/**
 * A call that has missed every mount, as with a base URL that lacks its last part, has it twice, or ends with a slash. Its client
 * is told where the mounts are, in the shape that it parses. It costs nothing, and its key is not looked at. Pure.
 */
import type { Upstreams } from '../../../domain/upstream.ts'
import type { Refusal } from '../../../errors.ts'
import type { Fields } from '../../headers/fields.ts'
import { isOfModels } from './shape.ts'

/** More would not help whoever reads the message. */
const MOUNTS_MAX = 20

/** Null for a request that nothing marks as a call. Not to be asked about the paths of our own routes. */
export function lostCall(path: string, fields: Fields, upstreams: Upstreams): Refusal | null {
  const hasKey = fields['x-api-key'] !== undefined || fields['api-key'] !== undefined
  if (!hasKey && !isOfModels(path, fields)) return null
  const mounts = upstreams.list().flatMap(({ mount }) => mount ?? [])
  const places = [...mounts.slice(0, MOUNTS_MAX), '/u/<name of an upstream>'].join(', ')
  const wrong = wrongIn(path)
  return {
    code: 'not_found',
    message: wrong
      ? `This path has ${wrong} of the base URL of your client. Upstreams are mounted at: ${places}.`
      : `No upstream is mounted at this path. Let the base URL of your client end with one of: ${places}.`,
  }
}

/** What stands twice at the end of the base URL; null if that is not what is wrong. */
function wrongIn(path: string): string | null {
  const [, twice] = /(\/v\d\w*)\1(?=\/|$)/.exec(path) ?? []
  if (twice) return `${twice} twice: leave one of them out`
  const [, version] = /(\/v\d\w*)\/\//.exec(path) ?? []
  return version ? `two slashes after ${version}: leave out the one at the end` : null
}
