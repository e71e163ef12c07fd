/**
 * Turns what the admin API takes about a key into what the store keeps. Problems go to `errors`, so
 * that a refusal names all of them at once. Pure.
 */
import { type KeyRecord, MAIN_LIMIT, type NamedLimit, type Scope } from '../../domain/key.ts'
import { readScopeEntry, SCOPE_RULES } from '../../domain/key-scope.ts'
import { importProblem, isPrefix, PREFIX_RULE } from '../../domain/key-secret.ts'
import { isTimeZone, LIMIT_DEFAULTS } from '../../domain/limit.ts'
import type { FieldError } from '../../errors.ts'
import { INSTANT_RULE, parseInstant } from '../../lib/clock.ts'
import type { CreateKey, UpdateKey } from './model.ts'
import { memberOf, SCOPE_FIELDS, type ScopeField, type ScopeInput } from './scope.ts'

type MainLimitFields = Pick<UpdateKey, 'quota' | 'window' | 'timezone' | 'week_start'>

/** Checks a raw key or a prefix that the operator has chosen. */
export function checkSecret(
  { prefix, key }: Pick<CreateKey, 'prefix' | 'key'>,
  errors: FieldError[],
): void {
  if (prefix !== undefined && !isPrefix(prefix))
    errors.push({ path: 'prefix', message: PREFIX_RULE })
  const problem = key === undefined ? null : importProblem(key)
  if (problem) errors.push({ path: 'key', message: problem })
  if (key !== undefined && prefix !== undefined)
    errors.push({ path: 'prefix', message: 'cannot be given together with key' })
}

export function readExpiry(text: string | null, errors: FieldError[]): number | null {
  const at = text === null ? null : parseInstant(text)
  if (at === null && text !== null)
    errors.push({ path: 'expires_at', message: `${INSTANT_RULE}, or null` })
  return at
}

/** The limits of a new key, the main one first. */
export function readLimits(input: CreateKey, errors: FieldError[]): NamedLimit[] {
  return checked([mainLimit(input, null), ...furtherLimits(input.limits ?? [])], errors)
}

/** All limits after a change; undefined if the change touches none. */
export function changedLimits(
  record: KeyRecord,
  input: UpdateKey,
  errors: FieldError[],
): NamedLimit[] | undefined {
  const fields = [input.quota, input.window, input.timezone, input.week_start, input.limits]
  if (fields.every((field) => field === undefined)) return undefined
  const existing = record.limits.map(({ name, unit, amount, window, timezone, weekStart }) => ({
    name,
    unit,
    amount,
    window,
    timezone,
    weekStart,
  }))
  const main = mainLimit(input, existing.find((limit) => limit.name === MAIN_LIMIT) ?? null)
  const others = input.limits
    ? furtherLimits(input.limits)
    : existing.filter((limit) => limit.name !== MAIN_LIMIT)
  return checked([main, ...others], errors)
}

function mainLimit(input: MainLimitFields, before: NamedLimit | null): NamedLimit {
  const { window, timezone, weekStart } = before ?? LIMIT_DEFAULTS
  return {
    name: MAIN_LIMIT,
    unit: 'requests',
    amount: input.quota === undefined ? (before?.amount ?? null) : input.quota,
    window: input.window ?? window,
    timezone: input.timezone ?? timezone,
    weekStart: input.week_start ?? weekStart,
  }
}

function furtherLimits(limits: NonNullable<CreateKey['limits']>): NamedLimit[] {
  return limits.map(({ name, unit, amount, window, timezone, week_start }) => ({
    name: name ?? `${unit}-${window}`,
    unit,
    amount,
    window,
    timezone: timezone ?? LIMIT_DEFAULTS.timezone,
    weekStart: week_start ?? LIMIT_DEFAULTS.weekStart,
  }))
}

function checked(limits: NamedLimit[], errors: FieldError[]): NamedLimit[] {
  for (const [i, limit] of limits.entries()) {
    const path = i === 0 ? 'timezone' : `limits.${i - 1}.timezone`
    if (!isTimeZone(limit.timezone))
      errors.push({ path, message: 'must be an IANA time zone, such as Europe/Berlin' })
    if (limits.findIndex((other) => other.name === limit.name) !== i) {
      errors.push({
        path: `limits.${i - 1}.name`,
        message: `must be unique within the key, and not "${MAIN_LIMIT}"`,
      })
    }
  }
  return limits
}

/** The whole scope after a change; undefined if the change touches none of it. */
export function changedScope(
  before: Scope | null,
  input: ScopeInput,
  errors: FieldError[],
): Scope | null | undefined {
  const given = SCOPE_FIELDS.filter((field) => input[field] !== undefined)
  if (given.length === 0) return undefined
  const after: { -readonly [M in keyof Scope]: Scope[M] } = { ...before }
  for (const field of given) {
    const list = input[field]
    if (list) after[memberOf(field)] = readEntries(field, list, errors)
    else delete after[memberOf(field)]
  }
  return Object.keys(after).length > 0 ? after : null
}

function readEntries(field: ScopeField, list: readonly string[], errors: FieldError[]): string[] {
  const member = memberOf(field)
  const entries = list.map((entry, i) => {
    const value = readScopeEntry(member, entry)
    if (value === null) errors.push({ path: `${field}.${i}`, message: SCOPE_RULES[member].message })
    return value
  })
  return [...new Set(entries.filter((entry) => entry !== null))]
}
