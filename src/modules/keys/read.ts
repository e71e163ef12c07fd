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
import { LIMITS_MAX } from './limits.ts'
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

/** The limits of a new key, the main one first. `zone` is for those that are given none. */
export function readLimits(input: CreateKey, zone: string, errors: FieldError[]): NamedLimit[] {
  const main = mainLimit(input, { ...LIMIT_DEFAULTS, timezone: zone, amount: null })
  return checked([main, ...furtherLimits(input.limits ?? [], zone)], errors)
}

/** All limits after a change; undefined if the change touches none. */
export function changedLimits(
  record: KeyRecord,
  input: UpdateKey,
  zone: string,
  errors: FieldError[],
): NamedLimit[] | undefined {
  const { set_limits: set, remove_limits: removed } = input
  const fields = [
    input.quota,
    input.window,
    input.timezone,
    input.week_start,
    input.limits,
    set,
    removed,
  ]
  if (fields.every((field) => field === undefined)) return undefined
  const existing = record.limits.map(({ name, unit, amount, window, timezone, weekStart }) => ({
    name,
    unit,
    amount,
    window,
    timezone,
    weekStart,
  }))
  const main = mainLimit(
    input,
    existing.find((limit) => limit.name === MAIN_LIMIT) ?? {
      ...LIMIT_DEFAULTS,
      timezone: zone,
      amount: null,
    },
  )
  if (input.limits && (set ?? removed)) errors.push({ path: 'limits', message: REPLACES_ALL })
  const others = input.limits
    ? furtherLimits(input.limits, zone)
    : changedOnes(
        existing.filter((limit) => limit.name !== MAIN_LIMIT),
        input,
        zone,
        errors,
      )
  return checked([main, ...others], errors)
}

const REPLACES_ALL =
  'cannot be given together with set_limits and remove_limits, since it replaces all'

/** The limits beside the main one, of which some are set, by name, and some removed. */
function changedOnes(
  before: readonly NamedLimit[],
  { set_limits = [], remove_limits = [] }: UpdateKey,
  zone: string,
  errors: FieldError[],
): NamedLimit[] {
  for (const [i, name] of remove_limits.entries())
    if (!before.some((limit) => limit.name === name))
      errors.push({
        path: `remove_limits.${i}`,
        message: 'must name a limit of the key beside its quota',
      })
  const set = furtherLimits(set_limits, zone)
  for (const [i, { name }] of set.entries())
    if (set.findIndex((other) => other.name === name) !== i)
      errors.push({ path: `set_limits.${i}.name`, message: 'must be unique within the list' })
  const kept = before.filter(({ name }) => !remove_limits.includes(name))
  const replaced = kept.map((limit) => set.find(({ name }) => name === limit.name) ?? limit)
  const added = set.filter(({ name }) => !kept.some((limit) => limit.name === name))
  if (replaced.length + added.length > LIMITS_MAX)
    errors.push({ path: 'set_limits', message: `would make more than ${LIMITS_MAX} limits` })
  return [...replaced, ...added]
}

function mainLimit(input: MainLimitFields, before: Omit<NamedLimit, 'name' | 'unit'>): NamedLimit {
  const { amount, window, timezone, weekStart } = before
  return {
    name: MAIN_LIMIT,
    unit: 'requests',
    amount: input.quota === undefined ? amount : input.quota,
    window: input.window ?? window,
    timezone: input.timezone ?? timezone,
    weekStart: input.week_start ?? weekStart,
  }
}

function furtherLimits(limits: NonNullable<CreateKey['limits']>, zone: string): NamedLimit[] {
  return limits.map(({ name, unit, amount, window, timezone, week_start }) => ({
    name: name ?? `${unit}-${window}`,
    unit,
    amount,
    window,
    timezone: timezone ?? zone,
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
