/**
 * The port of upstreams: the named targets that an operator manages, and what the data path must know of them. There are
 * few, so the data path keeps all of them in memory.
 */
/**
 * - `attempt`: always charged.
 * - `answer`: not charged when the upstream gave no answer or a 5xx.
 * - `success`: charged only for a whole answer with a status of 2xx or 3xx, or for a WebSocket that was opened (101).
 *
 * A client that leaves early is charged under each of them: what it asked for was asked of the upstream.
 */
export const CHARGE_ON = ['attempt', 'answer', 'success'] as const
export type ChargeOn = (typeof CHARGE_ON)[number]

export type Upstream = {
  /** Lower-case letters, digits and dashes; stands in URLs, in the ledger and in metrics. */
  readonly name: string
  /** http or https, without query, fragment or user; its path does not end with a slash. */
  readonly baseUrl: URL
  /** A path such as `/v1`, under which its calls come in beside `/u/{name}`; null is none. */
  readonly mount: string | null
  readonly enabled: boolean
  /** The operator's secret in the clear; null is none. It goes to `baseUrl` and nowhere else, and is never shown. */
  readonly secret: string | null
  readonly settings: UpstreamSettings
  /** The price list in force. */
  readonly prices: PriceList | null
  /** Null for the upstream of the environment, which the API shows and cannot change. */
  readonly createdAt: number | null
  readonly updatedAt: number | null
}

export type UpstreamSettings = {
  /** How the secret is presented. `template` holds `{secret}` once. */
  readonly credential:
    | { readonly in: 'header'; readonly name: string; readonly template: string }
    | { readonly in: 'query'; readonly name: string; readonly template: string }
    | null
  /** Sent with every call, in the place of what the client sends by these names. Lower-case names. */
  readonly headers: Readonly<Record<string, string>>
  /** Upper-case; null is all. */
  readonly methods: readonly string[] | null
  /** Globs on the decoded path after the base URL, such as `/chat/**`; null is all. */
  readonly paths: readonly string[] | null
  /** Until the head of the answer, between two pieces of it, and for all of it; null is the server's own setting. */
  readonly firstByteMs: number | null
  readonly idleMs: number | null
  readonly totalMs: number | null
  readonly bodyBytesMax: number | null
  readonly chargeOn: ChargeOn | null
  /** The first rule that fits says how many requests a call counts for; none is one. */
  readonly costs: readonly CostRule[]
  readonly meter: MeterSettings
  /** Most calls in flight to it at once. */
  readonly concurrency: number | null
  /** Whether a call whose connection was refused is sent once more: nothing of it can have arrived. */
  readonly retryConnect: boolean
  /**
   * Whether a safe method (GET, HEAD, OPTIONS) may use a kept connection: if that has died, it is sent once more (RFC 9110
   * section 9.2.2). Absent in what older versions have stored, and then true.
   */
  readonly resendSafe?: boolean
  /** Origins of pages that may call it from a browser; `*` is every page, an empty list none. */
  readonly corsOrigins: readonly string[]
  /** Names that clients use for models, and what the upstream is asked for. */
  readonly modelAliases: Readonly<Record<string, string>>
  /** Whether Cookie and Set-Cookie pass; they belong to the operator's account unless it says otherwise. */
  readonly cookies: boolean
  /** Whether the upstream is told the address of the client (X-Forwarded-For and its kin). */
  readonly forwardClient: boolean
  /**
   * Whether URLs in headers are translated: the client names the upstream's resources by this server's address, the upstream by
   * its own. Absent in what older versions have stored, where nothing was translated.
   */
  readonly rewriteUrls?: boolean
  /** Longest life of a WebSocket; null is no WebSockets. */
  readonly websocketMs: number | null
}

export type CostRule = {
  /** Upper-case; absent is any. */
  readonly method?: string
  /** A glob on the decoded path after the base URL. */
  readonly path: string
  readonly requests: number
}

/**
 * How what a call consumed is read from its answer.
 * - `none`: not at all; a call costs requests only.
 * - `tokens`: the usage that language model APIs report (OpenAI, Anthropic, Ollama, DeepSeek), in JSON and in streams.
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
      /** Units that are reserved before the answer is known. */
      readonly estimate: number
    }

/** Micro-units of money for a million tokens: 2.50 a million is 2_500_000. */
export type Price = {
  /** A glob on the model's name; the first price that fits is taken. */
  readonly model: string
  readonly input: number
  /** Of input read from the upstream's cache; as `input` if absent. */
  readonly cachedInput?: number
  readonly output: number
}

export type PriceList = { readonly id: number; readonly prices: readonly Price[] }

export type NewUpstream = Pick<
  Upstream,
  'name' | 'baseUrl' | 'mount' | 'enabled' | 'secret' | 'settings'
> & { readonly prices: readonly Price[] }

export type UpstreamChanges = Partial<Omit<NewUpstream, 'name'>>

/** Why an upstream cannot be written: another one has its name or its mount. */
export type UpstreamConflict = 'name_taken' | 'mount_taken'

/** Whether an upstream is called: `open` refuses calls for the moment, `half_open` is being tried. */
export type Circuit = 'closed' | 'open' | 'half_open'

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
  /**
   * Seals every secret anew with the present key, or none. One that cannot be opened is an error, unless it is to be
   * forgotten.
   */
  reseal(options: { readonly forgetLost: boolean }): Promise<Resealed>
}

/** How many secrets were sealed anew, and the names of the upstreams that have none any more. */
export type Resealed = { readonly sealed: number; readonly forgotten: readonly string[] }

/** What the data path knows of upstreams: those that are enabled, as of the newest change. */
export interface Upstreams {
  byName(name: string): Upstream | null
  /** The one with the longest mount that is the path, or is followed by a slash in it. */
  byMount(path: string): Upstream | null
  /**
   * The one whose base URL has the URL's origin, and a path that is the beginning of the URL's by whole segments; the
   * longest wins. `rest` is the path after it, as it was written: empty, or with a slash at its beginning.
   */
  byUrl(url: URL): { readonly upstream: Upstream; readonly rest: string } | null
  /** By name. */
  list(): readonly Upstream[]
}
