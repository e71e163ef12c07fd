/**
 * Keys as an operator changes them, free of HTTP. Raw keys come in as arguments and go out once, from `create`; nothing
 * here keeps one.
 */

import { type KeyChanges, type KeyRecord, type KeyStore, MAIN_LIMIT } from '../../domain/key.ts'
import {
  generateKey,
  generateKeyId,
  hashKey,
  hintOf,
  importProblem,
  isPrefix,
  PREFIX_RULE,
  prefixOf,
} from '../../domain/key-secret.ts'
import { AppError, type FieldError } from '../../errors.ts'
import { validationFailed } from '../../http/problem.ts'
import { type Clock, parseInstant } from '../../lib/clock.ts'
import type { Key } from './answers.ts'
import { changedLimits, checkLimits, furtherLimits, mainLimit } from './limits.ts'
import type { CreateKey, CreditKey, UpdateKey } from './model.ts'
import { must, refOf } from './queries.ts'
import { changedScope } from './scope.ts'
import { show } from './show.ts'

/** Two operators seldom change one key at once; three attempts in vain are a defect. */
const UPDATES_MAX = 10

export type Keys = ReturnType<typeof createKeys>

export function createKeys(store: KeyStore, clock: Clock, defaultPrefix: () => string) {
  /** Throws `key_not_found`. */
  async function find(idOrKey: string): Promise<KeyRecord> {
    return must(await store.find(refOf(idOrKey), clock()))
  }

  return {
    async create(input: CreateKey): Promise<Key & { key: string }> {
      const at = clock()
      const prefix = input.prefix ?? defaultPrefix()
      const errors: FieldError[] = []
      if (!isPrefix(prefix)) errors.push({ path: 'prefix', message: PREFIX_RULE })
      const problem = input.key === undefined ? null : importProblem(input.key)
      if (problem) errors.push({ path: 'key', message: problem })
      if (input.key !== undefined && input.prefix !== undefined) {
        errors.push({ path: 'prefix', message: 'cannot be given together with key' })
      }
      const expiresAt = readInstant(input.expires_at ?? null, errors)
      const limits = [mainLimit(input, null), ...furtherLimits(input.limits ?? [])]
      checkLimits(limits, errors)
      const scope = changedScope(null, input, errors) ?? null
      if (errors.length > 0) throw validationFailed(errors)

      const raw = input.key ?? generateKey(prefix)
      const record = await store.create(
        {
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
        },
        at,
      )
      if (!record)
        throw new AppError(
          'key_already_exists',
          'This key is already here. Find it with GET /admin/keys/{key}.',
        )
      return { key: raw, ...show(record, at) }
    },

    async update(idOrKey: string, input: UpdateKey): Promise<Key> {
      for (let attempt = 1; attempt <= UPDATES_MAX; attempt++) {
        const at = clock()
        const record = await find(idOrKey)
        const changes = changesOf(record, input)
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

    async rotate(idOrKey: string, graceSeconds = 0): Promise<Key & { key: string }> {
      const at = clock()
      const { id, hint } = await find(idOrKey)
      const raw = generateKey(prefixOf(hint) ?? defaultPrefix())
      const previousUntil = graceSeconds === 0 ? null : at + graceSeconds * 1000
      const secret = { hash: hashKey(raw), hint: hintOf(raw), previousUntil }
      const record = await store.rotate(id, secret, at)
      // 178 random bits that are already here are no coincidence.
      if (record === 'taken') throw new Error('A new key is already in use.')
      return { key: raw, ...show(must(record), at) }
    },

    async credit(
      idOrKey: string,
      { amount, limit = MAIN_LIMIT, reason = '' }: CreditKey,
    ): Promise<Key> {
      const at = clock()
      const { id, limits } = await find(idOrKey)
      const current = limits.find(({ name }) => name === limit)
      const total = Math.abs((current?.amount ?? 0) + (current?.credited ?? 0) + amount)
      if (!Number.isSafeInteger(total)) {
        throw validationFailed([
          { path: 'amount', message: 'would make the quota too large to count' },
        ])
      }
      if (amount === 0) {
        throw validationFailed([{ path: 'amount', message: 'must be a whole number other than 0' }])
      }
      const record = await store.credit(id, { limit, amount, reason }, at)
      if (record === 'no_limit') {
        throw validationFailed([
          { path: 'limit', message: 'must name a limit of the key that has an amount' },
        ])
      }
      return show(must(record), at)
    },

    async remove(idOrKey: string): Promise<{ id: string; deleted: true }> {
      const { id } = await find(idOrKey)
      if (!(await store.remove(id, clock()))) must(null)
      return { id, deleted: true }
    },
  }
}

/** Limits and scope are changed in part, so that the changes depend on the key as it was read. Throws what is wrong. */
function changesOf(record: KeyRecord, input: UpdateKey): KeyChanges {
  const errors: FieldError[] = []
  const { name, enabled, concurrency, tags, metadata } = input
  const expiresAt =
    input.expires_at === undefined ? undefined : readInstant(input.expires_at, errors)
  const limits = changedLimits(record, input)
  if (limits) checkLimits(limits, errors)
  const scope = changedScope(record.scope, input, errors)
  if (errors.length > 0) throw validationFailed(errors)
  return defined({ name, enabled, concurrency, tags, metadata, expiresAt, scope, limits })
}

function readInstant(text: string | null, errors: FieldError[]): number | null {
  const at = text === null ? null : parseInstant(text)
  if (at === null && text !== null) {
    errors.push({
      path: 'expires_at',
      message: 'must be a date and time with an offset, such as 2026-12-31T00:00:00Z, or null',
    })
  }
  return at
}

/** Leaves out what is undefined: an absent member and one that is undefined are not the same to the store. */
function defined<T extends object>(value: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(
    Object.entries(value).filter(([, member]) => member !== undefined),
  ) as ReturnType<typeof defined<T>>
}
