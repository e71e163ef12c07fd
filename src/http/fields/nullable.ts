/** Fields that may be null in schemas of the admin API. */
import { type TSchema, t } from 'elysia'

type Options = Parameters<typeof t.Union>[1]

export function orNull<Schema extends TSchema>(schema: Schema, options: Options = {}) {
  return t.Union([schema, t.Null()], options)
}

export const textOrNull = orNull(t.String())
export const textsOrNull = orNull(t.Array(t.String()))
