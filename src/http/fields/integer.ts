/** Whole numbers in schemas of the admin API. */
import { t } from 'elysia'

/** Elysia's own `t.Integer` also takes text, such as "0x10", even in a JSON body (elysia 1.4). */
export function integer(options: Parameters<typeof t.Number>[0] = {}) {
  return t.Number({ multipleOf: 1, ...options })
}
