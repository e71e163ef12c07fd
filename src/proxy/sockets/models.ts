/**
 * The models that a client names in the messages of its WebSocket, for a key that is meant for some only. It fails closed:
 * whatever a message calls a model is one, wherever it stands.
 */
import type { Scope } from '../../domain/key.ts'
import type { Refusal } from '../../errors.ts'
import { modelRefusal } from '../request/scope.ts'

/** Why a message of the client may not pass; null if it may. */
export type Objection = (message: string | Uint8Array) => Refusal | null

/** In any case, since some parsers take `Model` for `model`. */
const NAMED = /"model"\s*:\s*("(?:[^"\\]|\\.)*")/gi

/** A name with an escape in it may be any. Nobody writes the few names of these messages so. */
const DISGUISED = /[{,]\s*"(?:[^"\\]|\\[^u])*\\u(?:[^"\\]|\\.)*"\s*:/

/** Null for a key that is meant for every model. */
export function createModelObjection(scope: Scope | null): Objection | null {
  if (scope?.models === undefined) return null
  return (message) => {
    const text = textOf(message)
    if (text === null) return null
    for (const [, literal = '""'] of text.matchAll(NAMED)) {
      // Gemini's names are those of resources.
      const refusal = modelRefusal(scope, read(literal)?.replace(/^models\//, '') ?? null)
      if (refusal) return refusal
    }
    return text.includes('\\u') && DISGUISED.test(text) ? modelRefusal(scope, null) : null
  }
}

/** Null if it names none: most messages are sound. */
function textOf(message: string | Uint8Array): string | null {
  const text = typeof message === 'string' ? message : Buffer.from(message).toString('utf8')
  return /model|\\u/i.test(text) ? text : null
}

function read(literal: string): string | null {
  try {
    return JSON.parse(literal) as string
  } catch {
    return null
  }
}
