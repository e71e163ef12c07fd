/**
 * Keys as an operator changes them, free of HTTP. A raw key comes in as an argument and goes out
 * once, in the answer that issues it; nothing here keeps one.
 */
import {
  type KeyChanges,
  type KeyRecord,
  type KeyStore,
  MAIN_LIMIT,
  type NewKey,
} from '../../domain/key.ts'
import {
  generateKey,
  generateKeyId,
  hashKey,
  hintOf,
  prefixOf,
  refOf,
} from '../../domain/key-secret.ts'
import { AppError, type FieldError, validationFailed } from '../../errors.ts'
import type { Clock } from '../../lib/clock.ts'
import type { CreditKey } from './adjustments.ts'
import type { CreateKey, Key, UpdateKey } from './model.ts'
import { must } from './queries.ts'
import { changedLimits, changedScope, checkSecret, readExpiry, readLimits } from './read.ts'
import { show } from './show.ts'

export type Keys = ReturnType<typeof createKeys>

type IssuedKey = Key & { key: string }

export function createKeys(store: KeyStore, clock: Clock, defaultPrefix: () => string) {
  /** Throws `key_not_found`. */
  function find(idOrKey: string): KeyRecord {
    return must(store.find(refOf(idOrKey), clock()))
  }

  return {
    create(input: CreateKey): IssuedKey {
      const at = clock()
      const { raw, key } = readNew(input, defaultPrefix)
      const record = store.create(key, at)
      if (!record) throw alreadyThere()
      return { key: raw, ...show(record, at) }
    },

    update(idOrKey: string, input: UpdateKey): Key {
      const at = clock()
      const record = find(idOrKey)
      return show(must(store.update(record.id, readChanges(record, input), at)), at)
    },

    reset(idOrKey: string, quota: number | null | undefined): Key {
      const at = clock()
      return show(must(store.reset(find(idOrKey).id, quota, at)), at)
    },

    rotate(idOrKey: string, graceSeconds = 0): IssuedKey {
      const at = clock()
      const { id, hint } = find(idOrKey)
      const raw = generateKey(prefixOf(hint) ?? defaultPrefix())
      const previousUntil = graceSeconds === 0 ? null : at + graceSeconds * 1000
      const secret = { hash: hashKey(raw), hint: hintOf(raw), previousUntil }
      const record = store.rotate(id, secret, at)
      // Nothing but a fault can repeat 178 random bits.
      if (record === 'taken') throw new Error('A new key is already in use.')
      return { key: raw, ...show(must(record), at) }
    },

    credit(idOrKey: string, { amount, limit = MAIN_LIMIT, reason = '' }: CreditKey): Key {
      const at = clock()
      const before = find(idOrKey)
      checkCredit(before, limit, amount)
      const record = store.credit(before.id, { limit, amount, reason }, at)
      if (record === 'no_limit')
        throw wrong('limit', 'must name a limit of the key that has an amount')
      return show(must(record), at)
    },

    remove(idOrKey: string): { id: string; deleted: true } {
      const { id } = find(idOrKey)
      if (!store.remove(id, clock())) must(null)
      return { id, deleted: true }
    },
  }
}

/** Throws every problem at once. */
function readNew(input: CreateKey, defaultPrefix: () => string): { raw: string; key: NewKey } {
  const errors: FieldError[] = []
  checkSecret(input, errors)
  const expiresAt = readExpiry(input.expires_at ?? null, errors)
  const limits = readLimits(input, errors)
  const scope = changedScope(null, input, errors) ?? null
  if (errors.length > 0) throw validationFailed(errors)
  const raw = input.key ?? generateKey(input.prefix ?? defaultPrefix())
  const key = {
    id: generateKeyId(),
    hash: hashKey(raw),
    hint: hintOf(raw),
    name: input.name,
    enabled: input.enabled ?? true,
    expiresAt,
    concurrency: input.concurrency ?? null,
    scope,
    tags: input.tags ?? [],
    metadata: input.metadata ?? {},
    limits,
  }
  return { raw, key }
}

/** Throws every problem at once. */
function readChanges(record: KeyRecord, input: UpdateKey): KeyChanges {
  const errors: FieldError[] = []
  const { name, enabled, concurrency, tags, metadata } = input
  const expiresAt =
    input.expires_at === undefined ? undefined : readExpiry(input.expires_at, errors)
  const limits = changedLimits(record, input, errors)
  const scope = changedScope(record.scope, input, errors)
  if (errors.length > 0) throw validationFailed(errors)
  return defined({ name, enabled, concurrency, tags, metadata, expiresAt, scope, limits })
}

function checkCredit({ limits }: KeyRecord, limit: string, amount: number): void {
  const current = limits.find(({ name }) => name === limit)
  const total = Math.abs((current?.amount ?? 0) + (current?.credited ?? 0) + amount)
  if (!Number.isSafeInteger(total)) throw wrong('amount', 'would make the quota too large to count')
  if (amount === 0) throw wrong('amount', 'must be a whole number other than 0')
}

function alreadyThere(): AppError {
  const message = 'This key is already here. Find it with GET /admin/keys/{key}.'
  return new AppError('key_already_exists', message)
}

function wrong(path: string, message: string): AppError {
  return validationFailed([{ path, message }])
}

/** Leaves out undefined members, which the store tells from absent ones. */
function defined<T extends object>(value: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(
    Object.entries(value).filter(([, member]) => member !== undefined),
  ) as ReturnType<typeof defined<T>>
}
