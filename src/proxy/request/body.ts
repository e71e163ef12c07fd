/**
 * Takes a call's body: as it is, or whole and read if something in it matters. What matters is the model, where a key is
 * restricted to some or the upstream has other names for them, and what a metered call may consume.
 */

import type { Credential, Scope } from '../../domain/key.ts'
import { NO_UNITS, type Units } from '../../domain/limit.ts'
import type { Refusal } from '../../errors.ts'
import { decode } from '../../http/request/read-body.ts'
import type { Metering } from '../../metering/reckon.ts'
import { type Prepared, prepareRequest, worksForNothing } from '../../metering/request.ts'
import type { Outbound } from '../send/outbound.ts'
import type { ClientCall, Foresee } from './client-call.ts'
import { requestsOf } from './rules.ts'
import { modelRefusal } from './scope.ts'
import { isStreamed } from './upload.ts'

export type BodyPlan =
  | {
      readonly ok: true
      readonly body: Outbound['body']
      readonly metering: Metering | null
      bytesIn(): number
    }
  | { readonly ok: false; readonly refusal: Refusal }

const JSON_TYPE = /^application\/(?:[\w.+-]+\+)?json\s*(?:;|$)/i

export async function planBody(
  clientCall: ClientCall,
  { scope }: Credential,
  foresee: Foresee,
): Promise<BodyPlan> {
  const { upstream, headers, method } = clientCall
  const meter = upstream?.settings.meter
  const aliases = upstream?.settings.modelAliases ?? NO_ALIASES
  const restricted = scope?.models !== undefined
  const matters =
    (restricted || meter?.kind === 'tokens' || Object.keys(aliases).length > 0) &&
    JSON_TYPE.test(headers['content-type'] ?? '')

  const taken = await clientCall.takeBody(matters, () => foresee(leastOf(clientCall)))
  if (!taken.ok) return taken
  const { body, bytes: bytesIn } = taken.upload
  const prices = upstream?.prices ?? null
  const metered = meter && meter.kind !== 'none' ? meter : null

  if (!matters || body === null || isStreamed(body)) {
    const refusal = restricted && body !== null ? modelRefusal(scope, null) : null
    if (refusal) return { ok: false, refusal }
    // Reading costs no tokens.
    const free = metered?.kind === 'tokens' && (method === 'GET' || method === 'HEAD')
    // What has no body, such as a call that deletes or cancels something, asks for no work.
    const estimate = body === null ? { input: 0, output: 0, allowed: 0 } : null
    const unread = { model: null, hideUsage: false, estimate }
    const metering = metered && !free ? { settings: metered, prices, ...unread } : null
    return { ok: true, body, bytesIn, metering }
  }

  const text = typeof body === 'string' ? body : decode(body)
  if (text === null) return { ok: false, refusal: NOT_UTF8 }
  const outputDefault = meter?.kind === 'tokens' ? meter.outputTokensDefault : null
  const prepared = prepareRequest(text, { path: clientCall.path ?? '', outputDefault, aliases })
  const { upstreamModel: model, hideUsage, estimate } = prepared
  // A body that could ask for more than it seems to would be charged for less than it consumes.
  if (prepared.ambiguous && meter?.kind === 'tokens') return { ok: false, refusal: AMBIGUOUS }
  const refusal = restricted ? bodyModelRefusal(scope, prepared) : null
  if (refusal) return { ok: false, refusal }
  const named = { model, alias: prepared.model, fallbacks: prepared.models.slice(1) }
  const metering = metered && { settings: metered, prices, ...named, hideUsage, estimate }
  return { ok: true, body: prepared.body, bytesIn, metering }
}

const NO_ALIASES = {}

/** A body that is long enough for this to be asked has at least one token. */
function leastOf(clientCall: ClientCall): Units {
  const isMetered = clientCall.upstream?.settings.meter.kind === 'tokens'
  const tokens = isMetered && !worksForNothing(clientCall.path ?? '') ? 1 : 0
  return { ...NO_UNITS, requests: requestsOf(clientCall), tokens }
}

/** By the names that the client uses. What an upstream could read in another way names no model. */
function bodyModelRefusal(scope: Scope, { ambiguous, models }: Prepared): Refusal | null {
  if (ambiguous || models.length === 0) return modelRefusal(scope, null)
  return models.map((model) => modelRefusal(scope, model)).find(Boolean) ?? null
}

const AMBIGUOUS: Refusal = {
  code: 'invalid_request',
  message:
    'The body must be a JSON object that names no member of the request twice, with at most 1,000 values in those that matter.',
}

const NOT_UTF8: Refusal = {
  code: 'invalid_request',
  message: 'The body says that it is JSON and is not valid UTF-8.',
}
