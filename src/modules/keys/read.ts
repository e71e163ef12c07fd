/**
 * Turns what the admin API takes about a key into what the store keeps. Problems go to `errors`, so
 * that a refusal names all of them at once. Pure.
 */

import { readScopeEntry, SCOPE_RULES } from '../../domain/key/scope.ts'
import { importProblem, isPrefix, PREFIX_RULE } from '../../domain/key/secret.ts'
import { type KeyRecord, MAIN_LIMIT, type NamedLimit, type Scope } from '../../domain/key.ts'
import { isTimeZone, LIMIT_DEFAULTS, ZONE_RULE } from '../../domain/limit.ts'
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
  return [mainLimit(input, newMain(zone), errors), ...listed(input, 'limits', zone, errors)]
}

/** All limits after a change; undefined if the change touches none. */
export function changedLimits(
  record: KeyRecord,
  input: UpdateKey,
  zone: string,
  errors: FieldError[],
): NamedLimit[] | undefined {
  const { quota, window, timezone, week_start, limits, set_limits, remove_limits } = input
  const fields = [quota, window, timezone, week_start, limits, set_limits, remove_limits]
  if (fields.every((field) => field === undefined)) return undefined
  const existing = record.limits.map(({ name, unit, amount, window, timezone, weekStart }) => ({
    ...{ name, unit, amount, window, timezone, weekStart },
  }))
  const before = existing.find(({ name }) => name === MAIN_LIMIT) ?? newMain(zone)
  const main = mainLimit(input, before, errors)
  if (limits && (set_limits ?? remove_limits))
    errors.push({ path: 'limits', message: REPLACES_ALL })
  const others = existing.filter(({ name }) => name !== MAIN_LIMIT)
  return limits
    ? [main, ...listed(input, 'limits', zone, errors)]
    : [main, ...changedOnes(others, input, zone, errors)]
}

const REPLACES_ALL =
  'cannot be given together with set_limits and remove_limits, since it replaces all'

/** The limits beside the main one, of which some are set, by name, and some removed. */
function changedOnes(
  before: readonly NamedLimit[],
  input: UpdateKey,
  zone: string,
  errors: FieldError[],
): NamedLimit[] {
  const removed = input.remove_limits ?? []
  for (const [i, name] of removed.entries())
    if (!before.some((limit) => limit.name === name))
      errors.push({
        path: `remove_limits.${i}`,
        message: 'must name a limit of the key beside its quota',
      })
  const set = listed(input, 'set_limits', zone, errors)
  const kept = before.filter(({ name }) => !removed.includes(name))
  const replaced = kept.map((limit) => set.find(({ name }) => name === limit.name) ?? limit)
  const added = set.filter(({ name }) => !kept.some((limit) => limit.name === name))
  if (replaced.length + added.length > LIMITS_MAX)
    errors.push({ path: 'set_limits', message: `would make more than ${LIMITS_MAX} limits` })
  return [...replaced, ...added]
}

type MainLimit = Omit<NamedLimit, 'name' | 'unit'>

function newMain(timezone: string): MainLimit {
  return { ...LIMIT_DEFAULTS, timezone, amount: null }
}

function mainLimit(input: MainLimitFields, before: MainLimit, errors: FieldError[]): NamedLimit {
  const { amount, window, timezone, weekStart } = before
  checkZone(input.timezone, 'timezone', errors)
  return {
    name: MAIN_LIMIT,
    unit: 'requests',
    amount: input.quota === undefined ? amount : input.quota,
    window: input.window ?? window,
    timezone: input.timezone ?? timezone,
    weekStart: input.week_start ?? weekStart,
  }
}

/** The further limits in one list of the input. */
function listed<Path extends 'limits' | 'set_limits'>(
  input: { readonly [P in Path]?: CreateKey['limits'] },
  path: Path,
  zone: string,
  errors: FieldError[],
): NamedLimit[] {
  const names = [MAIN_LIMIT]
  return (input[path] ?? []).map((given, i) => {
    const { unit, amount, window, timezone, week_start } = given
    const { name = `${unit}-${window}` } = given
    checkZone(timezone, `${path}.${i}.timezone`, errors)
    if (names.includes(name))
      errors.push({
        path: `${path}.${i}.name`,
        message: `must be unique within the ${path === 'limits' ? 'key' : 'list'}, and not "${MAIN_LIMIT}"`,
      })
    names.push(name)
    const weekStart = week_start ?? LIMIT_DEFAULTS.weekStart
    return { name, unit, amount, window, timezone: timezone ?? zone, weekStart }
  })
}

function checkZone(zone: string | undefined, path: string, errors: FieldError[]): void {
  if (zone !== undefined && !isTimeZone(zone)) errors.push({ path, message: ZONE_RULE })
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
