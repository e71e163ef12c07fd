/** What becomes of PostgreSQL's errors: they leave this room as a StoreFailure. */
import { StoreFailure } from '../../domain/store.ts'
import { AppError } from '../../errors.ts'
import { errorCode } from '../../lib/error-code.ts'

/** Codes of SQLSTATE that begin so are the fault of whoever asked, or of this program (PostgreSQL, appendix A). */
const FAULTS = /^(?:22|23|42|QP)/

/**
 * insufficient_privilege, undefined_function and undefined_table are of those, and yet no fault: whoever administers the server
 * has taken away what was there at the start.
 */
const TAKEN_AWAY = new Set(['42501', '42883', '42P01'])

/** lock_not_available, serialization_failure and deadlock_detected: the same may succeed at once. */
const LOCKS = new Set(['55P03', '40001', '40P01'])

/** A replica that has been taken for dead, and may write no more under its number. */
export const REPLICA_LOST = 'QP001'

export function failureOf(error: unknown): unknown {
  if (error instanceof StoreFailure || !(error instanceof Error)) return error
  const code = error instanceof AppError ? error.refusal.code : errorCode(error)
  if (isState(code) && FAULTS.test(code) && !TAKEN_AWAY.has(code)) return error
  const failure = new StoreFailure(error.message, code || 'CONNECTION', LOCKS.has(code))
  if (error.stack !== undefined) failure.stack = error.stack
  return failure
}

/**
 * Whether the connection is of no more use, or may have been lost with the answer: what it was asked may have been done, and
 * may yet be done. An answer of the server that says why it refused is none of these.
 */
export function isConnectionLost(error: unknown): boolean {
  const code = errorCode(error)
  return !isState(code) || /^(?:08|57P|25006|58|XX)/.test(code)
}

/** No class of SQLSTATE begins with an E; names of the system's errors do, and EPIPE is as long. */
function isState(code: string): boolean {
  return /^(?!E)[0-9A-Z]{5}$/.test(code)
}
