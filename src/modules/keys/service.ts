/**
 * Keys as an operator changes them, free of HTTP. A raw key comes in as an argument and goes out
 * once, in the answer that issues it; nothing here keeps one.
 */

import {
  generateKey,
  generateKeyId,
  hashKey,
  hintOf,
  prefixOf,
  refOf,
} from '../../domain/key/secret.ts'
import {
  type KeyChanges,
  type KeyRecord,
  type KeyStore,
  MAIN_LIMIT,
  type NewKey,
  type NextSecret,
} from '../../domain/key.ts'
import { AppError, type FieldError, validationFailed } from '../../errors.ts'
import type { Clock } from '../../lib/clock.ts'
import type { CreditKey } from './adjustments.ts'
import type { CreateKey, Key, UpdateKey } from './model.ts'
import { must } from './queries.ts'
import { changedLimits, changedScope, checkSecret, readExpiry, readLimits } from './read.ts'
import { show } from './show.ts'

export type Keys = ReturnType<typeof createKeys>

/** Two operators seldom change one key at once; that many attempts in vain are a defect. */
const UPDATES_MAX = 10

type IssuedKey = Key & { key: string }

/** What keys are given unless the operator says otherwise. */
export type KeyDefaults = { readonly keyPrefix: string; readonly defaultTimezone: string }

export function createKeys(store: KeyStore, clock: Clock, defaults: () => KeyDefaults) {
  /** Throws `key_not_found`. */
  async function find(idOrKey: string): Promise<KeyRecord> {
    return must(await store.find(refOf(idOrKey), clock()))
  }

  return {
    async create(input: CreateKey): Promise<IssuedKey> {
      const at = clock()
      const { raw, key } = readNew(input, defaults())
      const record = await store.create(key, at)
      if (!record) throw alreadyThere()
      return { key: raw, ...show(record, at) }
    },

    async update(idOrKey: string, input: UpdateKey): Promise<Key> {
      for (let attempt = 1; attempt <= UPDATES_MAX; attempt++) {
        const at = clock()
        const record = await find(idOrKey)
        const changes = readChanges(record, input, defaults())
        const written = await store.update(record.id, changes, at, record.revision)
        if (written !== 'changed') return show(must(written), at)
      }
      throw new Error('The key was changed by somebody else at every attempt.')
    },

    async reset(idOrKey: string, quota: number | null | undefined): Promise<Key> {
      const at = clock()
      const { id } = await find(idOrKey)
      return show(must(await store.reset(id, quota, at)), at)
    },

    async rotate(idOrKey: string, graceSeconds = 0): Promise<IssuedKey> {
      const at = clock()
      const { id, hint } = await find(idOrKey)
      const raw = generateKey(prefixOf(hint) ?? defaults().keyPrefix)
      const record = await store.rotate(id, nextSecret(raw, at, graceSeconds), at)
      // 178 random bits that are already here are no coincidence.
      if (record === 'taken') throw new Error('A new key is already in use.')
      return { key: raw, ...show(must(record), at) }
    },

    async credit(
      idOrKey: string,
      { amount, limit = MAIN_LIMIT, reason = '' }: CreditKey,
    ): Promise<Key> {
      const at = clock()
      const before = await find(idOrKey)
      checkCredit(before, limit, amount)
      const record = await store.credit(before.id, { limit, amount, reason }, at)
      if (record === 'no_limit') throw nothingToCredit()
      return show(must(record), at)
    },

    async remove(idOrKey: string): Promise<{ id: string; deleted: true }> {
      const { id } = await find(idOrKey)
      if (!(await store.remove(id, clock()))) must(null)
      return { id, deleted: true }
    },
  }
}

/** Throws every problem at once. */
function readNew(
  input: CreateKey,
  { keyPrefix, defaultTimezone }: KeyDefaults,
): { raw: string; key: NewKey } {
  const errors: FieldError[] = []
  checkSecret(input, errors)
  const expiresAt = readExpiry(input.expires_at ?? null, errors)
  const limits = readLimits(input, defaultTimezone, errors)
  const scope = changedScope(null, input, errors) ?? null
  if (errors.length > 0) throw validationFailed(errors)
  const raw = input.key ?? generateKey(input.prefix ?? keyPrefix)
  const key = {
    id: generateKeyId(),
    hash: hashKey(raw),
    hint: hintOf(raw),
    name: input.name,
    enabled: input.enabled ?? true,
    expiresAt,
    concurrency: input.concurrency ?? null,
    reserveMax: input.reserve_max ?? null,
    scope,
    tags: input.tags ?? [],
    metadata: input.metadata ?? {},
    limits,
  }
  return { raw, key }
}

/** Without a grace period, the previous secret of the key ends at once. */
function nextSecret(raw: string, at: number, graceSeconds: number): NextSecret {
  const previousUntil = graceSeconds === 0 ? null : at + graceSeconds * 1000
  return { hash: hashKey(raw), hint: hintOf(raw), previousUntil }
}

/** Throws every problem at once. */
function readChanges(
  record: KeyRecord,
  input: UpdateKey,
  { defaultTimezone }: KeyDefaults,
): KeyChanges {
  const errors: FieldError[] = []
  const { name, enabled, concurrency, reserve_max: reserveMax, tags, metadata } = input
  const expiresAt =
    input.expires_at === undefined ? undefined : readExpiry(input.expires_at, errors)
  const limits = changedLimits(record, input, defaultTimezone, errors)
  const scope = changedScope(record.scope, input, errors)
  if (errors.length > 0) throw validationFailed(errors)
  return defined({
    ...{ name, enabled, concurrency, reserveMax, tags, metadata, expiresAt, scope, limits },
  })
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

function nothingToCredit(): AppError {
  return wrong('limit', 'must name a limit of the key that has an amount')
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
