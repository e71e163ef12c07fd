/**
 * Keeps all upstreams in memory, and finds those that are enabled by name, by mount and by URL. A
 * URL is under a base URL by its origin and by whole segments of its decoded path, never by how its
 * text begins.
 */
import type { Config } from '../../config/options.ts'
import {
  defaultPlacement,
  defaultSettings,
  ENVIRONMENT_NAME,
  type Upstream,
  type UpstreamStore,
  type Upstreams,
} from '../../domain/upstream.ts'
import { AppError } from '../../errors.ts'
import { hidesStep } from '../../lib/text/path-step.ts'

export type Registry = Upstreams & {
  /** Disabled ones too, by name. */
  all(): readonly Upstream[]
  /** To be called after every change: reads them all again. Rejects if one cannot be read, and then keeps what it has. */
  reload(): Promise<void>
}

type Base = { readonly upstream: Upstream; readonly segments: readonly string[] }

type EnvironmentSettings = Pick<Config, 'upstreamBaseUrl' | 'upstreamApiKey' | 'upstreamMount'>

/**
 * The upstream that three settings make, for the common case of a single one: the API shows it and
 * cannot change it. Null without UPSTREAM_BASE_URL.
 */
export function environmentUpstream(config: EnvironmentSettings): Upstream | null {
  if (config.upstreamBaseUrl === undefined) return null
  const baseUrl = new URL(config.upstreamBaseUrl)
  const secret = config.upstreamApiKey ?? null
  return {
    name: ENVIRONMENT_NAME,
    baseUrl,
    mount: config.upstreamMount,
    enabled: true,
    secret,
    settings: defaultSettings(secret === null ? null : defaultPlacement(baseUrl)),
    prices: null,
    revision: null,
    createdAt: null,
    updatedAt: null,
  }
}

/**
 * Rejects with an AppError that says what to do if the environment's upstream has the name or the
 * mount of a stored one.
 */
export async function createRegistry(
  store: Pick<UpstreamStore, 'list'>,
  environment: Upstream | null,
): Promise<Registry> {
  let state = await readState(store, environment)
  let asked = 0
  let taken = 0

  return {
    all: () => state.all,
    list: () => state.enabled,
    byName: (name) => state.byName.get(name) ?? null,
    async reload() {
      const turn = ++asked
      const read = await readState(store, environment)
      // One that was asked later, and answered sooner, knows more.
      if (turn < taken) return
      taken = turn
      state = read
    },

    byMount(path) {
      const found = state.mounts.find(
        ({ mount, below }) => path === mount || path.startsWith(below),
      )
      return found?.upstream ?? null
    },

    byUrl(url) {
      const bases = state.bases.get(url.origin)
      if (!bases) return null
      const segments = url.pathname.slice(1).split('/')
      const base = bases.find((one) => isUnder(one, segments))
      if (!base) return null
      const rest = segments
        .slice(base.segments.length)
        .map((segment) => `/${segment}`)
        .join('')
      return hidesStep(rest) ? null : { upstream: base.upstream, rest }
    },
  }
}

async function readState(store: Pick<UpstreamStore, 'list'>, environment: Upstream | null) {
  const stored = await store.list()
  if (environment) refuseTwins(environment, stored)
  const all = (environment ? [environment, ...stored] : stored).toSorted((one, other) =>
    one.name < other.name ? -1 : 1,
  )
  const enabled = all.filter((upstream) => upstream.enabled)
  return {
    all,
    enabled,
    byName: new Map(enabled.map((upstream) => [upstream.name, upstream])),
    mounts: mountsOf(enabled),
    bases: basesOf(enabled),
  }
}

/** The longest mount first. */
function mountsOf(upstreams: readonly Upstream[]) {
  return upstreams
    .flatMap((upstream) => {
      const { mount } = upstream
      return mount === null ? [] : [{ upstream, mount, below: `${mount}/` }]
    })
    .toSorted((one, other) => other.mount.length - one.mount.length)
}

/** By origin, the longest path first. Of two with the same base URL, the first by name wins. */
function basesOf(upstreams: readonly Upstream[]): Map<string, Base[]> {
  const bases = upstreams.map((upstream) => ({
    upstream,
    segments: upstream.baseUrl.pathname.split('/').filter(Boolean),
  }))
  const sorted = bases.toSorted((one, other) => other.segments.length - one.segments.length)
  return Map.groupBy(sorted, ({ upstream }) => upstream.baseUrl.origin)
}

function isUnder(base: Base, segments: readonly string[]): boolean {
  return base.segments.every(
    (segment, i) => segments[i] !== undefined && decode(segments[i]) === segment,
  )
}

function decode(segment: string): string {
  try {
    return decodeURIComponent(segment)
  } catch {
    return segment
  }
}

function refuseTwins(environment: Upstream, stored: readonly Upstream[]): void {
  const { name, mount } = environment
  const twin = stored.find((one) => one.name === name || one.mount === mount)
  if (!twin) return
  throw new AppError(
    'upstream_already_exists',
    `The environment makes an upstream named "${name}" at ${mount}, and the upstream "${twin.name}" in the database has that name or mount. Start without UPSTREAM_BASE_URL and change it, or set another UPSTREAM_MOUNT.`,
  )
}
