/** Whole numbers in schemas of the admin API. */
import { t } from 'elysia'
import { CONCURRENCY_MAX } from '../../domain/limit.ts'
import { orNull } from './nullable.ts'

type Options = Parameters<typeof t.Number>[0]

/** Elysia's own `t.Integer` also takes text, such as "0x10", even in a JSON body (elysia 1.4). */
export function integer(options: Options = {}) {
  return t.Number({ multipleOf: 1, ...options })
}

export const integerOrNull = orNull(integer())

/** A whole number that a request gives, with the sentence that refuses another one. */
export function wholeNumber(minimum: number, maximum: number, options: Options = {}) {
  const error = `must be a whole number from ${minimum} to ${maximum}`
  return integer({ minimum, maximum, error, ...options })
}

/** The same, or null; `without` says what null means. */
export function wholeNumberOrNull(
  minimum: number,
  maximum: number,
  without: string,
  options: Options = {},
) {
  const error = `must be a whole number from ${minimum} to ${maximum}, or null${without}`
  return orNull(integer({ minimum, maximum }), { error, ...options })
}

/** How many calls may be in flight at once, of a key or to an upstream. */
export function concurrency(description: string) {
  return wholeNumberOrNull(1, CONCURRENCY_MAX, '', { description })
}
