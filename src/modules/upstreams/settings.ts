/** The settings of an upstream as the API writes them, and as the store keeps them. What is not given stays as it was. Pure. */

import type { CostRule, MeterSettings, Price, UpstreamSettings } from '../../domain/upstream.ts'
import type { FieldError } from '../../errors.ts'
import { PRINTABLE } from '../../http/fields/text.ts'
import { HEADER_RULE, isSettable, type Placement } from './credential.ts'
import type { CreateUpstream, UpdateUpstream } from './model.ts'

type Given = Omit<UpdateUpstream, 'base_url' | 'mount' | 'enabled' | 'credential' | 'prices'>

/** About a page of text: what is reserved for an answer whose length nobody has limited. */
const OUTPUT_TOKENS_DEFAULT = 1024

/** Of an upstream of which nothing but its address and its credential is given. */
export function defaultSettings(credential: Placement | null): UpstreamSettings {
  return {
    credential,
    headers: {},
    methods: null,
    paths: null,
    firstByteMs: null,
    idleMs: null,
    totalMs: null,
    bodyBytesMax: null,
    chargeOn: null,
    costs: [],
    meter: { kind: 'tokens', outputTokensDefault: OUTPUT_TOKENS_DEFAULT },
    concurrency: null,
    retryConnect: false,
    corsOrigins: [],
    modelAliases: {},
    cookies: false,
    forwardClient: false,
    rewriteUrls: false,
    websocketMs: null,
  }
}

/** Problems go to `errors`; what has one is not to be used. */
export function readSettings(
  given: Given,
  before: UpstreamSettings,
  errors: FieldError[],
): UpstreamSettings {
  const { methods, paths, timeouts = {}, body_bytes_max, charge_on, websocket_seconds_max } = given
  const seconds = websocket_seconds_max
  return {
    credential: before.credential,
    headers: given.headers ? readHeaders(given.headers, errors) : before.headers,
    methods: kept(methods, before.methods),
    paths: kept(paths, before.paths),
    firstByteMs: kept(timeouts.first_byte_ms, before.firstByteMs),
    idleMs: kept(timeouts.idle_ms, before.idleMs),
    totalMs: kept(timeouts.total_ms, before.totalMs),
    bodyBytesMax: kept(body_bytes_max, before.bodyBytesMax),
    chargeOn: kept(charge_on, before.chargeOn),
    costs: given.costs ? readCosts(given.costs) : before.costs,
    meter: given.meter ? readMeter(given.meter) : before.meter,
    concurrency: kept(given.concurrency, before.concurrency),
    retryConnect: given.retry_connect ?? before.retryConnect,
    corsOrigins: given.cors_origins ? readOrigins(given.cors_origins, errors) : before.corsOrigins,
    modelAliases: given.model_aliases
      ? readAliases(given.model_aliases, errors)
      : before.modelAliases,
    cookies: given.cookies ?? before.cookies,
    forwardClient: given.forward_client ?? before.forwardClient,
    rewriteUrls: given.rewrite_urls ?? before.rewriteUrls ?? false,
    websocketMs: seconds === undefined ? before.websocketMs : seconds && seconds * 1000,
  }
}

/** Null is a value of its own. */
function kept<T>(given: T | undefined, before: T): T {
  return given === undefined ? before : given
}

function readHeaders(given: Record<string, unknown>, errors: FieldError[]): Record<string, string> {
  const names = Object.keys(given).map((name) => name.toLowerCase())
  const problem = (message: string) => errors.push({ path: 'headers', message })
  if (!names.every(isSettable)) problem(`must hold names only; each ${HEADER_RULE}`)
  if (new Set(names).size < names.length) problem('must not hold a header twice')
  const texts = Object.entries(given).flatMap(([name, value]) =>
    isText(value) && HEADER_VALUE.test(value) ? [[name.toLowerCase(), value] as const] : [],
  )
  if (texts.length < names.length) {
    problem('must hold texts of visible ASCII characters, without white space at either end')
  }
  return Object.fromEntries(texts)
}

/** RFC 9110 section 5.5, without what is obsolete there. */
export const HEADER_VALUE = /^(?:[\x21-\x7e](?:[\t\x20-\x7e]{0,4000}[\x21-\x7e])?)?$/

/** RFC 6454 section 6.2, without what `URL` takes for a host and no browser ever sends. */
export const ORIGIN = /^(?:\*|https?:\/\/[a-z0-9.:_[\]-]+)$/

function readOrigins(given: readonly string[], errors: FieldError[]): readonly string[] {
  for (const [i, origin] of given.entries()) {
    if (ORIGIN.test(origin) && (origin === '*' || URL.parse(origin)?.origin === origin)) continue
    errors.push({
      path: `cors_origins.${i}`,
      message: 'must be * or an origin as browsers send it, such as https://app.example.com',
    })
  }
  return given
}

function readAliases(given: Record<string, unknown>, errors: FieldError[]): Record<string, string> {
  const texts = [...Object.keys(given), ...Object.values(given)]
  if (!texts.every((text) => isText(text) && MODEL_NAME.test(text))) {
    errors.push({
      path: 'model_aliases',
      message: 'must hold names of models: texts of 1 to 200 characters without control characters',
    })
  }
  return given as Record<string, string>
}

export const MODEL_NAME = new RegExp(`^${PRINTABLE}{1,200}$`, 'u')

function isText(value: unknown): value is string {
  return typeof value === 'string'
}

function readCosts(given: NonNullable<Given['costs']>): readonly CostRule[] {
  return given.map(({ method, path, requests }) => ({ ...(method && { method }), path, requests }))
}

function readMeter(given: NonNullable<Given['meter']>): MeterSettings {
  if (given.kind !== 'tokens') return given
  return {
    kind: 'tokens',
    outputTokensDefault: given.output_tokens_default ?? OUTPUT_TOKENS_DEFAULT,
  }
}

/** Members in one order, so that a list that says the same is the same. */
export function readPrices(given: NonNullable<CreateUpstream['prices']>): readonly Price[] {
  return given.map(({ model, input, cached_input, output }) => ({
    ...{ model, input },
    ...(cached_input !== undefined && { cachedInput: cached_input }),
    output,
  }))
}
