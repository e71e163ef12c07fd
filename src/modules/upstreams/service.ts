/**
 * Upstreams as an operator manages them, free of HTTP. After every change the data path knows of it before the operator is
 * told. No answer, refusal or error here ever holds a secret.
 */
import { readBaseUrl, readMount } from '../../config/upstream.ts'
import type {
  Upstream,
  UpstreamConflict,
  UpstreamSettings,
  UpstreamStore,
} from '../../domain/upstream.ts'
import { AppError, type FieldError } from '../../errors.ts'
import { validationFailed } from '../../http/problem.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Upstream as Shown } from './answers.ts'
import { readCredential } from './credential.ts'
import type { CreateUpstream, UpdateUpstream } from './model.ts'
import type { Registry } from './registry.ts'
import { defaultSettings, readPrices, readSettings } from './settings.ts'
import { show } from './show.ts'

export type UpstreamService = ReturnType<typeof createUpstreams>

/** What a new upstream is a change of. */
const NOTHING = { baseUrl: null, mount: null, secret: null, settings: defaultSettings(null) }

export function createUpstreams(store: UpstreamStore, registry: Registry, clock: Clock) {
  function find(name: string): Upstream {
    return must(registry.all().find((upstream) => upstream.name === name) ?? null)
  }

  /** The environment's upstream stands in no table, so the store cannot know that its name and mount are taken. */
  function refuseEnvironments(name: string, mount: string | null): void {
    for (const upstream of registry.all().filter(isEnvironments)) {
      if (upstream.name === name) throw conflict('name_taken')
      if (mount !== null && upstream.mount === mount) throw conflict('mount_taken')
    }
  }

  async function finish(written: Upstream | UpstreamConflict | null): Promise<Shown> {
    if (typeof written === 'string') throw conflict(written)
    await registry.reload()
    return show(must(written))
  }

  return {
    list() {
      const data = registry.all().map(show)
      return { object: 'list' as const, data, has_more: false, next: null }
    },

    get: (name: string): Shown => show(find(name)),

    async create({ name, prices, enabled = true, ...input }: CreateUpstream): Promise<Shown> {
      const { baseUrl, mount, secret, settings } = read(input, NOTHING)
      if (!baseUrl) throw new Error('an upstream has no base URL')
      refuseEnvironments(name, mount)
      const upstream = { name, baseUrl, mount, enabled, secret, settings }
      return finish(await store.create({ ...upstream, prices: readPrices(prices ?? []) }, clock()))
    },

    async update(name: string, { prices, enabled, ...input }: UpdateUpstream): Promise<Shown> {
      const before = find(name)
      if (isEnvironments(before)) throw readOnly()
      const { baseUrl, mount, secret, settings } = read(input, before)
      refuseEnvironments(name, mount)
      const changes = {
        ...(baseUrl && { baseUrl }),
        ...(enabled !== undefined && { enabled }),
        ...(prices && { prices: readPrices(prices) }),
      }
      return finish(await store.update(name, { mount, secret, settings, ...changes }, clock()))
    },

    async remove(name: string): Promise<{ name: string; deleted: true }> {
      if (isEnvironments(find(name))) throw readOnly()
      const removed = await store.remove(name)
      await registry.reload()
      if (!removed) must(null)
      return { name, deleted: true }
    },
  }
}

type Target = {
  readonly baseUrl: URL | null
  readonly mount: string | null
  readonly secret: string | null
  readonly settings: UpstreamSettings
}

/** Throws every problem at once. */
function read(input: UpdateUpstream, before: Target): Target {
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

function isEnvironments({ createdAt }: Upstream): boolean {
  return createdAt === null
}

function must(upstream: Upstream | null): Upstream {
  if (upstream) return upstream
  throw new AppError(
    'upstream_not_found',
    'There is no such upstream. GET /admin/upstreams lists them.',
  )
}

function conflict(which: UpstreamConflict): AppError {
  return which === 'name_taken'
    ? new AppError(
        'upstream_already_exists',
        'There is an upstream of this name. Change it with PATCH, or choose another name.',
      )
    : new AppError(
        'mount_taken',
        'Another upstream has this mount. Choose another path, or null for none.',
      )
}

function readOnly(): AppError {
  return new AppError(
    'upstream_read_only',
    'This upstream comes from the environment. Change UPSTREAM_BASE_URL, UPSTREAM_API_KEY or UPSTREAM_MOUNT, and start again.',
  )
}
