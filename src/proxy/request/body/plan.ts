/**
 * Takes a call's body: as it is, or whole and read if something in it matters. What matters is the model, where a key is
 * restricted to some or the upstream has other names for them, and what a metered call may consume.
 */

import type { Credential } from '../../../domain/key.ts'
import { NO_UNITS, type Unit, type Units } from '../../../domain/limit.ts'
import type { MeterSettings } from '../../../domain/upstream.ts'
import type { Refusal } from '../../../errors.ts'
import { areKnown, codingsOf } from '../../../http/request/decode-body.ts'
import type { Metering } from '../../../metering/reckon.ts'
import { type Estimate, NOTHING } from '../../../metering/request/estimate.ts'
import { type Form, formEstimate } from '../../../metering/request/form.ts'
import { modelsInPath, plainPath } from '../../../metering/request/plain-path.ts'
import { reportsNothing, worksForNothing } from '../../../metering/request/work.ts'
import { aliasOf, prepareRequest } from '../../../metering/request.ts'
import type { Fields } from '../../headers/fields.ts'
import type { Outbound } from '../../send/outbound.ts'
import type { Caller, ClientCall } from '../client-call.ts'
import { requestsOf } from '../rules.ts'
import { modelRefusal } from '../scope.ts'
import { type Wish, wishOf } from '../usage-wishes.ts'
import { type Content, readContent, wantOf } from './content.ts'
import { AMBIGUOUS, UNKNOWN_CODING, UNREAD, UNREAD_MODEL } from './refusal.ts'

export type BodyPlan =
  | {
      readonly ok: true
      readonly body: Outbound['body']
      /** Whether the body was coded and is sent decoded, since something in it had to be changed. */
      readonly isDecoded: boolean
      readonly metering: Metering | null
      /** That was asked for, as the client names it; null if none was read. */
      readonly model: string | null
      /** The JSON that was read, if it is JSON. */
      readonly text: string | null
      /** What we have asked the upstream for, of which the client has said nothing; null if nothing. */
      readonly wish: Wish | null
      bytesIn(): number
    }
  | { readonly ok: false; readonly refusal: Refusal; readonly model?: string | null }

/** What a call is asked for, and by whom, as far as it decides about its body. */
type Asked = {
  readonly key: Credential
  readonly method: string
  readonly path: string
  readonly aliases: Readonly<Record<string, string>>
  readonly meter: MeterSettings
  /** The models in the path: whoever is asked by such a path goes by it. */
  readonly inPath: readonly string[]
  readonly restricted: boolean
  /** Whether nothing may pass unread. */
  readonly must: boolean
  /** Whether its path asks for no work, whatever its body says. */
  readonly free: boolean
  readonly matters: boolean
  readonly mayAsk: (wish: Wish) => boolean
  readonly upstream: string
  /** Whether a limit of the key counts what the call consumes. */
  readonly limited: boolean
}

/** What was read of a body. */
type Reading = {
  readonly body: Outbound['body']
  readonly isChanged: boolean
  /** As the upstream is asked for it. */
  readonly model: string | null
  /** As the client names them; null if they cannot be told. */
  readonly models: readonly string[] | null
  readonly estimate: Estimate | null
  readonly hideUsage: boolean
  readonly addsOption: boolean
  /** The text, if it is one. */
  readonly text: string | null
}

export async function planBody(
  clientCall: ClientCall,
  { key, foresee, slot, mayAsk }: Pick<Caller, 'key' | 'foresee' | 'slot' | 'mayAsk'>,
): Promise<BodyPlan> {
  const asked = askedOf(clientCall, key, mayAsk)
  const { headers } = clientCall
  const want = asked.matters ? wantOf(headers, asked) : 'stream'
  const taken = await clientCall.takeBody(want, () => foresee(leastOf(clientCall)))
  if (!taken.ok) return taken
  const { body, bytes: bytesIn } = taken.upload
  if (body === null || !asked.matters) {
    const metering = meteringOf(clientCall, asked, untouched(body))
    const model = metering?.alias ?? null
    return { ok: true, body, bytesIn, metering, model, text: null, isDecoded: false, wish: null }
  }

  const content = await readContent(body, want, headers, slot)
  if (content.kind === 'refused') return { ok: false, refusal: content.refusal }
  const reading = readingOf(body, content, asked)
  if (reading === null) return { ok: false, refusal: AMBIGUOUS }
  const refusal = whyRefused(asked, reading, content, headers)
  const model = modelAsked(asked, reading)
  if (refusal) return { ok: false, refusal, model }
  const isDecoded = reading.isChanged && headers['content-encoding'] !== undefined
  const metering = meteringOf(clientCall, asked, reading)
  const wish = reading.addsOption ? wishOf(asked.upstream, asked.path, reading.model) : null
  const { text } = reading
  return { ok: true, body: reading.body, bytesIn, metering, model, text, isDecoded, wish }
}

function askedOf(
  { upstream, method, path: decoded }: ClientCall,
  key: Credential,
  mayAsk: Asked['mayAsk'],
): Asked {
  const path = plainPath(decoded ?? '')
  const meter = upstream?.settings.meter ?? NO_METER
  const aliases = upstream?.settings.modelAliases ?? NO_ALIASES
  const restricted = key.scope?.models !== undefined
  const isTokens = meter.kind === 'tokens'
  // What asks for no work may be a file of any type and length.
  const free = worksForNothing(path, method, null)
  const limited = isTokens && !free && key.limitedUnits.some(isWork)
  return {
    ...{ key, method, path, meter, aliases, mayAsk, restricted, limited },
    upstream: upstream?.name ?? '',
    inPath: modelsInPath(path),
    must: restricted || limited,
    free,
    matters: restricted || isTokens || Object.keys(aliases).length > 0,
  }
}

function isWork(unit: Unit): boolean {
  return unit !== 'requests'
}

const NO_ALIASES = {}
const NO_METER: MeterSettings = { kind: 'none' }

function untouched(body: Outbound['body']): Reading {
  const nothing = { isChanged: false, hideUsage: false, addsOption: false, text: null }
  return { ...nothing, body, model: null, models: null, estimate: null }
}

/** Null for what claims to be JSON and could ask for more than it seems to: it would be charged for less than it consumes. */
function readingOf(
  body: NonNullable<Outbound['body']>,
  content: Content,
  asked: Asked,
): Reading | null {
  const { path, method, aliases, meter, mayAsk, upstream } = asked
  if (content.kind === 'form') return readingOfForm(body, content, asked)
  if (content.kind !== 'json') return untouched(body)
  const { text, isDeclared } = content
  const outputDefault = meter.kind === 'tokens' ? meter.outputTokensDefault : null
  const asks = (model: string | null) => mayAsk(wishOf(upstream, path, model))
  const prepared = prepareRequest(text, { path, method, outputDefault, aliases, asks })
  if (prepared.ambiguous && !isDeclared) return untouched(body)
  if (prepared.ambiguous && meter.kind === 'tokens') return null
  const isChanged = prepared.body !== text
  return {
    body: isChanged ? prepared.body : body,
    isChanged,
    model: prepared.upstreamModel,
    models: prepared.ambiguous ? null : prepared.models,
    estimate: prepared.estimate,
    hideUsage: prepared.hideUsage,
    addsOption: prepared.addsOption,
    text,
  }
}

function readingOfForm(
  body: Outbound['body'],
  { form, bytes }: { readonly form: Form; readonly bytes: Buffer },
  { aliases, meter }: Asked,
): Reading {
  if (form.ambiguous) return untouched(body)
  const model = form.model === null ? null : aliasOf(form.model, aliases)
  const { place } = form
  const isChanged = place !== null && model !== null && model !== form.model
  return {
    ...untouched(body),
    body: isChanged
      ? Buffer.concat([
          bytes.subarray(0, place.start),
          Buffer.from(model),
          bytes.subarray(place.end),
        ])
      : body,
    isChanged,
    model,
    models: form.model === null ? [] : [form.model],
    estimate: meter.kind === 'tokens' ? formEstimate(form, meter.outputTokensDefault) : null,
  }
}

function whyRefused(
  { key, inPath, restricted, limited, must }: Asked,
  { models }: Reading,
  { kind }: Content,
  headers: Fields,
): Refusal | null {
  if (models === null) {
    if (must && !areKnown(codingsOf(headers['content-encoding']))) return UNKNOWN_CODING
    // Those in the path have been looked at with its other rules.
    if (restricted && !(kind === 'unread' && inPath.length > 0)) return UNREAD_MODEL
    return limited ? UNREAD : null
  }
  if (!restricted) return null
  if (models.length === 0 && inPath.length === 0) return modelRefusal(key.scope, null)
  return models.map((model) => modelRefusal(key.scope, model)).find(Boolean) ?? null
}

/** Of several, one that the key may not use. */
function modelAsked({ key, inPath }: Asked, { models }: Reading): string | null {
  const refused = models?.find((model) => modelRefusal(key.scope, model))
  return refused ?? inPath[0] ?? models?.[0] ?? null
}

/** Null if nothing is counted but the request. */
function meteringOf(
  { upstream, method }: ClientCall,
  { path, meter, inPath, aliases, free }: Asked,
  { model: inBody, models, estimate: read, hideUsage, text, body }: Reading,
): Metering | null {
  if (meter.kind === 'none') return null
  const prices = upstream?.prices ?? null
  const [first = null, ...fallbacks] = models ?? []
  const [given] = inPath
  const names =
    given === undefined
      ? { model: inBody, alias: first, fallbacks }
      : { model: aliasOf(given, aliases), alias: given, fallbacks }
  if (meter.kind === 'json') return { settings: meter, prices, ...names, hideUsage, estimate: read }
  // Reading costs no tokens.
  if (method === 'GET' || method === 'HEAD') return null
  if (reportsNothing(path, method, body === null ? '' : text)) return null
  // What has no body, such as a call that deletes or cancels something, asks for no work.
  const isFree = body === null || (text === null && free)
  const estimate = isFree ? NOTHING : read
  return { settings: meter, prices, ...names, hideUsage, estimate }
}

/** A body that is long enough for this to be asked has at least one token. */
function leastOf(clientCall: ClientCall): Units {
  const { upstream, method, path } = clientCall
  const isMetered = upstream?.settings.meter.kind === 'tokens'
  const isFree = worksForNothing(plainPath(path ?? ''), method, '')
  return { ...NO_UNITS, requests: requestsOf(clientCall), tokens: isMetered && !isFree ? 1 : 0 }
}
