/** An upstream: a named target of an operator, its rules and its ports. Upstreams are few: memory holds them all. */
import { HEADER_NAME, HOP_BY_HOP } from '../lib/http-syntax.ts'
import { printable } from '../lib/text/printable.ts'
import type { Price } from './upstream/price.ts'

/** Stands in URLs, in the ledger and in metrics. */
export const UPSTREAM_NAME = /^[a-z][a-z0-9-]{0,62}$/

/** A call that takes longer than an hour is a job for a queue. */
export const WAIT_MS_MAX = 3_600_000
/** No API takes a body of more than a gibibyte. */
export const BODY_BYTES_MAX = 1024 ** 3

/**
 * - `attempt`: always charged.
 * - `answer`: not charged when the upstream gave no answer or a 5xx.
 * - `success`: charged only for a whole answer with a status of 2xx or 3xx, or for a WebSocket that
 *   was opened (101).
 *
 * Under each a client that leaves early is charged, and a refusal of the operator's own account only under `attempt`.
 */
export const CHARGE_ON = ['attempt', 'answer', 'success'] as const
export type ChargeOn = (typeof CHARGE_ON)[number]

export type Upstream = {
  readonly name: string
  /** http or https, without query, fragment or user; its path does not end with a slash. */
  readonly baseUrl: URL
  /** A path such as `/v1`, under which its calls come in beside `/u/{name}`; null is none. */
  readonly mount: string | null
  readonly enabled: boolean
  /**
   * The operator's secret in the clear; null is none. It goes to `baseUrl` only, and is never
   * shown.
   */
  readonly secret: string | null
  readonly settings: UpstreamSettings
  /** The price list in force. */
  readonly prices: PriceList | null
  /**
   * Raised by every change where several processes serve one store, so that the charge notices a call that was resolved by an
   * older state; null in other stores, and for the upstream of the environment.
   */
  readonly revision: number | null
  /** Null for the upstream of the environment, which the API shows and cannot change. */
  readonly createdAt: number | null
  readonly updatedAt: number | null
}

/** Where a request presents the secret. `template` holds `{secret}` once. */
export type Placement = {
  readonly in: 'header' | 'query'
  readonly name: string
  readonly template: string
}

export type UpstreamSettings = {
  readonly credential: Placement | null
  /**
   * Sent with every call instead of the client's headers of these names, which are in lower case.
   */
  readonly headers: Readonly<Record<string, string>>
  /** Upper-case; null is all. */
  readonly methods: readonly string[] | null
  /** Globs on the decoded path after the base URL, such as `/chat/**`; null is all. */
  readonly paths: readonly string[] | null
  /**
   * How long to wait for the head of the answer; null is the server's own setting, here and below.
   */
  readonly firstByteMs: number | null
  /** Between two pieces of the answer. */
  readonly idleMs: number | null
  readonly totalMs: number | null
  readonly bodyBytesMax: number | null
  readonly chargeOn: ChargeOn | null
  /**
   * The first rule that matches says how many requests a call counts for; without one it is one.
   */
  readonly costs: readonly CostRule[]
  readonly meter: MeterSettings
  /** Most calls in flight to it at once. */
  readonly concurrency: number | null
  /** Whether a refused connection is tried once more: nothing of the call can have arrived. */
  readonly retryConnect: boolean
  /** Whether safe methods use kept connections (RFC 9110 section 9.2.2). Absent in old rows: true. */
  readonly resendSafe?: boolean
  /** Origins of pages that may call it from a browser; `*` is every page, an empty list none. */
  readonly corsOrigins: readonly string[]
  /** By the name that a client uses for a model, the name that the upstream gets. */
  readonly modelAliases: Readonly<Record<string, string>>
  /**
   * Whether Cookie and Set-Cookie pass. They belong to the operator's account unless it says
   * otherwise.
   */
  readonly cookies: boolean
  /** Whether X-Forwarded-For and its kin tell the upstream the address of the client. */
  readonly forwardClient: boolean
  /** Whether URLs in requests' headers become the upstream's own. Absent in old rows: false. */
  readonly rewriteUrls?: boolean
  /** Whether keys with limits in tokens or cost may ask for work that is reported later. Absent is false. */
  readonly deferredWork?: boolean
  /** Whether answers may lead clients, and their keys, to other hosts. Absent in old rows: false. */
  readonly passLocations?: boolean
  /** Longest life of a WebSocket; null refuses WebSockets. */
  readonly websocketMs: number | null
}

/** About a page of text: reserved for an answer whose length the client does not limit. */
export const OUTPUT_TOKENS_DEFAULT = 1024

/** The settings of an upstream about which only its address and its credential are known. */
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
    resendSafe: true,
    rewriteUrls: false,
    passLocations: false,
    websocketMs: null,
  }
}

/** Most APIs look for the secret in `authorization`; Anthropic's looks elsewhere. */
export function defaultPlacement(baseUrl: URL | null): Placement {
  return baseUrl?.hostname === 'api.anthropic.com'
    ? { in: 'header', name: 'x-api-key', template: '{secret}' }
    : { in: 'header', name: 'authorization', template: 'Bearer {secret}' }
}

/** Headers that whoever frames the message writes; an operator may set none of them. */
const FRAMING = ['content-length', 'expect', 'host']

/** Whether an operator may set this header. */
export function isSettable(header: string): boolean {
  const name = header.toLowerCase()
  return HEADER_NAME.test(header) && !HOP_BY_HOP.includes(name) && !FRAMING.includes(name)
}

/** RFC 9110 section 5.5, without its obsolete characters. */
export const HEADER_VALUE = /^(?:[\x21-\x7e](?:[\t\x20-\x7e]{0,4000}[\x21-\x7e])?)?$/

/** The name of a query parameter that holds a secret. */
export const QUERY_NAME = /^[A-Za-z0-9._~-]{1,100}$/

/** Visible ASCII with exactly one `{secret}`, and no space at either end. */
export const TEMPLATE =
  /^(?=[\x20-\x7e]{1,200}$)(?! )(?!.*\{secret\}.*\{secret\}).*\{secret\}.*(?<! )$/

export const MODEL_NAME = new RegExp(printable(1, 200), 'u')

export type CostRule = {
  /** Upper-case; absent is any. */
  readonly method?: string
  /** A glob on the decoded path after the base URL. */
  readonly path: string
  readonly requests: number
}

/**
 * How the proxy reads what a call consumed from its answer.
 * - `none`: not at all; a call costs requests only.
 * - `tokens`: the usage that language model APIs report, in JSON and in streams.
 * - `json`: one number of a JSON answer, in `unit`.
 */
export type MeterSettings =
  | { readonly kind: 'none' }
  | { readonly kind: 'tokens'; readonly outputTokensDefault: number }
  | {
      readonly kind: 'json'
      /** A JSONPath that names one number, such as `$.usage.credits`. */
      readonly path: string
      readonly unit: 'tokens' | 'cost'
      /** Units to reserve before the answer is known. */
      readonly estimate: number
    }

export type PriceList = { readonly id: number; readonly prices: readonly Price[] }

export type NewUpstream = Pick<
  Upstream,
  'name' | 'baseUrl' | 'mount' | 'enabled' | 'secret' | 'settings'
> & { readonly prices: readonly Price[] }

export type UpstreamChanges = Partial<Omit<NewUpstream, 'name'>>

/** Why an upstream cannot be written: another one has its name or its mount. */
export type UpstreamConflict = 'name_taken' | 'mount_taken'

/** `closed` lets calls through, `open` refuses them for the moment, `half_open` tries a few. */
export const CIRCUITS = ['closed', 'open', 'half_open'] as const
export type Circuit = (typeof CIRCUITS)[number]

export type CircuitView = { readonly name: string; readonly circuit: Circuit }

export interface UpstreamStore {
  /** All of them, by name. Rejects if a secret cannot be opened with the present key. */
  list(): Promise<Upstream[]>
  create(upstream: NewUpstream, at: number): Promise<Upstream | UpstreamConflict>
  /** Null if there is none of this name. */
  update(
    name: string,
    changes: UpstreamChanges,
    at: number,
  ): Promise<Upstream | UpstreamConflict | null>
  /** Its price lists stay: old calls were reckoned by them. */
  remove(name: string): Promise<boolean>
  /** Seals every secret anew, or none. Rejects for one that it cannot open, unless it may forget it. */
  reseal(options: { readonly forgetLost: boolean }): Promise<Resealed>
}

/** How many secrets were sealed anew, and which upstreams have lost theirs. */
export type Resealed = { readonly sealed: number; readonly forgotten: readonly string[] }

/** The upstreams that the data path may call: those that are enabled, as of the newest change. */
export interface Upstreams {
  byName(name: string): Upstream | null
  /** The one whose mount is the path, or begins it by whole segments; the longest mount wins. */
  byMount(path: string): Upstream | null
  /**
   * The one whose base URL has the URL's origin and a path that begins the URL's by whole segments;
   * the longest wins. `rest` is the path after it as it was written: empty, or with a slash first.
   */
  byUrl(url: URL): { readonly upstream: Upstream; readonly rest: string } | null
  /** Sorted by name. */
  list(): readonly Upstream[]
}

/** Of the upstream that the settings make. */
export const ENVIRONMENT_NAME = 'default'

/** Upstreams that the settings make: their tokens are counted, and they can have no prices. */
export function unpricedOf(settings: { readonly upstreamBaseUrl?: string | undefined }): string[] {
  return settings.upstreamBaseUrl === undefined ? [] : [ENVIRONMENT_NAME]
}
