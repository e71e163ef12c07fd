/**
 * Upstreams as an operator manages them, free of HTTP. The data path takes up every change before
 * the operator gets the answer. No answer, refusal or error here ever holds a secret.
 */
import {
  defaultSettings,
  type Upstream,
  type UpstreamConflict,
  type UpstreamStore,
} from '../../domain/upstream.ts'
import { AppError } from '../../errors.ts'
import type { Clock } from '../../lib/clock.ts'
import type { CreateUpstream, Upstream as Shown, UpdateUpstream } from './model.ts'
import { readPrices } from './prices.ts'
import { readTarget } from './read.ts'
import type { Registry } from './registry.ts'
import { show } from './show.ts'

export type UpstreamService = ReturnType<typeof createUpstreams>

/** A new upstream is read as a change of this one. */
const NOTHING = { baseUrl: null, mount: null, secret: null, settings: defaultSettings(null) }

export function createUpstreams(store: UpstreamStore, registry: Registry, clock: Clock) {
  function find(name: string): Upstream {
    return must(registry.all().find((upstream) => upstream.name === name) ?? null)
  }

  /**
   * The store cannot know that the environment's upstream takes a name and a mount: no table has
   * it.
   */
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
    list: (): Shown[] => registry.all().map(show),

    get: (name: string): Shown => show(find(name)),

    async create({ name, prices, enabled = true, ...input }: CreateUpstream): Promise<Shown> {
      const { baseUrl, mount, secret, settings } = readTarget(input, NOTHING)
      if (!baseUrl) throw new Error('an upstream has no base URL')
      refuseEnvironments(name, mount)
      const upstream = { name, baseUrl, mount, enabled, secret, settings }
      return finish(await store.create({ ...upstream, prices: readPrices(prices ?? []) }, clock()))
    },

    async update(name: string, { prices, enabled, ...input }: UpdateUpstream): Promise<Shown> {
      const before = find(name)
      if (isEnvironments(before)) throw readOnly()
      const { baseUrl, mount, secret, settings } = readTarget(input, before)
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
