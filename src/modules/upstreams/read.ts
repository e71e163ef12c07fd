/**
 * Turns what the admin API takes about an upstream into what the store keeps. What a request does
 * not give stays as it was. Problems go to `errors`; a value that has one must not be used. Pure.
 */
import { readBaseUrl, readMount, readSecret } from '../../config/upstream.ts'
import {
  type CostRule,
  defaultPlacement,
  HEADER_VALUE,
  isSettable,
  type MeterSettings,
  MODEL_NAME,
  OUTPUT_TOKENS_DEFAULT,
  type Placement,
  QUERY_NAME,
  TEMPLATE,
  type Upstream,
  type UpstreamSettings,
} from '../../domain/upstream.ts'
import { type FieldError, validationFailed } from '../../errors.ts'
import { isOrigin } from '../../lib/text/origin.ts'
import type { UpdateUpstream } from './model.ts'

type Settings = Omit<UpdateUpstream, 'base_url' | 'mount' | 'enabled' | 'credential' | 'prices'>
type Credential = NonNullable<UpdateUpstream['credential']>
type Known = Pick<Upstream, 'secret'> & { readonly placement: Placement | null }

const HEADER_RULE =
  'must be the name of a header that does not belong to the connection or the framing'
const TEMPLATE_RULE = 'must be visible ASCII characters with {secret} in it exactly once'

type Target = {
  readonly baseUrl: URL | null
  readonly mount: string | null
  readonly secret: string | null
  readonly settings: UpstreamSettings
}

/** Throws every problem at once. */
export function readTarget(input: UpdateUpstream, before: Target): Target {
  const errors: FieldError[] = []
  const baseUrl =
    input.base_url === undefined
      ? before.baseUrl
      : checked('base_url', readBaseUrl(input.base_url), errors)
  const mount =
    typeof input.mount === 'string'
      ? checked('mount', readMount(input.mount), errors)
      : input.mount === undefined
        ? before.mount
        : null
  const known = { secret: before.secret, placement: before.settings.credential }
  const { placement, secret } =
    input.credential === undefined
      ? known
      : readCredential(input.credential, known, baseUrl, errors)
  const settings = { ...readSettings(input, before.settings, errors), credential: placement }
  if (errors.length > 0) throw validationFailed(errors)
  return { baseUrl, mount, secret, settings }
}

function checked<T>(
  path: string,
  parsed: { ok: true; value: T } | { ok: false; problem: string },
  errors: FieldError[],
): T | null {
  if (parsed.ok) return parsed.value
  errors.push({ path, message: parsed.problem })
  return null
}

function readSettings(
  given: Settings,
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
    resendSafe: given.resend_safe ?? before.resendSafe ?? true,
    rewriteUrls: given.rewrite_urls ?? before.rewriteUrls ?? false,
    deferredWork: given.deferred_work ?? before.deferredWork ?? false,
    passLocations: given.pass_locations ?? before.passLocations ?? false,
    websocketMs: seconds === undefined ? before.websocketMs : seconds && seconds * 1000,
  }
}

/** Null is a value of its own, unlike an absent field. */
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

function readOrigins(given: readonly string[], errors: FieldError[]): readonly string[] {
  for (const [i, origin] of given.entries()) {
    if (isOrigin(origin)) continue
    errors.push({
      path: `cors_origins.${i}`,
      message:
        'must be * or an origin as browsers and apps send it, such as https://app.example.com or app://obsidian.md',
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

function isText(value: unknown): value is string {
  return typeof value === 'string'
}

function readCosts(given: NonNullable<Settings['costs']>): readonly CostRule[] {
  return given.map(({ method, path, requests }) => ({ ...(method && { method }), path, requests }))
}

function readMeter(given: NonNullable<Settings['meter']>): MeterSettings {
  if (given.kind !== 'tokens') return given
  return {
    kind: 'tokens',
    outputTokensDefault: given.output_tokens_default ?? OUTPUT_TOKENS_DEFAULT,
  }
}

function readCredential(
  input: Credential | null,
  known: Known,
  baseUrl: URL | null,
  errors: FieldError[],
): { readonly placement: Placement | null; readonly secret: string | null } {
  if (input === null) return { placement: null, secret: null }
  const { secret = known.secret } = input
  if (secret === null) {
    errors.push({ path: 'credential.secret', message: 'must be given: there is none yet' })
  } else if (input.secret !== undefined) {
    const read = readSecret(input.secret)
    if (!read.ok) errors.push({ path: 'credential.secret', message: read.problem })
  }
  return { placement: readPlacement(input, known.placement, baseUrl, errors), secret }
}

function readPlacement(
  { header, query, template }: Credential,
  before: Placement | null,
  baseUrl: URL | null,
  errors: FieldError[],
): Placement {
  if (header !== undefined && query !== undefined) {
    errors.push({ path: 'credential.query', message: 'cannot be given together with header' })
  }
  if (header !== undefined && !isSettable(header)) {
    errors.push({ path: 'credential.header', message: HEADER_RULE })
  }
  if (query !== undefined && !QUERY_NAME.test(query)) {
    errors.push({
      path: 'credential.query',
      message: 'must be the name of a query parameter: letters, digits and . _ ~ -',
    })
  }
  if (template !== undefined && !TEMPLATE.test(template)) {
    errors.push({ path: 'credential.template', message: TEMPLATE_RULE })
  }
  const place = placementOf(header, query) ?? before ?? defaultPlacement(baseUrl)
  return template === undefined ? place : { ...place, template }
}

function placementOf(header: string | undefined, query: string | undefined): Placement | null {
  if (query !== undefined) return { in: 'query', name: query, template: '{secret}' }
  if (header === undefined) return null
  const name = header.toLowerCase()
  const template = name === 'authorization' ? 'Bearer {secret}' : '{secret}'
  return { in: 'header', name, template }
}
