/** `quota-proxy keys update|enable|disable|credit`: changes that can be taken back. */
import { InvalidArgumentError } from 'commander'
import type { Api, Given } from '../api.ts'
import type { AdminOptions, CliCommand, ConfirmedOptions, Run } from '../command.ts'
import { fieldsOf, mustChange } from '../input.ts'
import { Misuse, type Session } from '../session.ts'
import { bodyOf, type FieldOptions, keyFields, readQuota } from './fields.ts'
import { parseCredit } from './limit.ts'
import { KEY_ARGUMENT, keyGiven } from './reference.ts'
import { type BulkOptions, doEach, keysTagged, one, selected } from './select.ts'
import { type Key, keyRenderer, nameOf } from './show.ts'
import { warnOfUnpriced } from './unpriced.ts'

export function addKeyChanges(keys: CliCommand): void {
  const update = keys
    .command('update')
    .summary('change a key')
    .description(
      'Change what is given and leave the rest. --limit adds a limit, or takes the place of the one of the same name. A new amount counts at once and keeps what was used; a new window or time zone starts afresh.',
    )
    .argument('[key]', `${KEY_ARGUMENT}; without one, --tag says which keys`)
    .option('--name <name>', 'for people; need not be unique')
    .option('--quota <number>', 'requests per window, or "unlimited"', readQuota)
  keyFields(update)
    .option('--remove-limit <name>', 'a limit to remove; may be repeated', listed)
    .option('--replace-limits', 'leave no limits but the quota and those given with --limit')
    .option('--yes', 'change all keys with the tag without asking')
    .option('--dry-run', 'only say which keys would be changed')
    .json()
    .usesApi(updateKey)
    .examples(
      'quota-proxy keys update key_4hXcQ0m2VtYb7LrKp9Zs --quota 2000 --expires 90d',
      'quota-proxy keys update key_4hXcQ0m2VtYb7LrKp9Zs --limit tokens=500000/month',
      'quota-proxy keys update --tag course-2026 --expires 2026-12-31',
      "quota-proxy keys update key_4hXcQ0m2VtYb7LrKp9Zs --paths '/chat/**' --models any",
    )
  addEnabling(keys, true, 'Let calls with a key that was disabled through again.')
  addEnabling(keys, false, 'Refuse every call with a key from now on, until it is enabled again.')
  addCredit(keys)
}

type Options = ConfirmedOptions &
  FieldOptions & {
    readonly tag?: readonly string[]
    readonly removeLimit?: readonly string[]
    readonly replaceLimits?: boolean
  }

async function updateKey(run: Run<Options>, argument: string | undefined): Promise<void> {
  const { session, api, options, show } = run
  const { replaceLimits, limit, tag: tags, ...others } = options
  if (replaceLimits && limit === undefined)
    throw new Misuse('--replace-limits needs --limit. To remove all limits give --limit none.')
  if (argument === undefined && tags && tags.length > 1)
    throw new Misuse('Without a key --tag says which keys, and can be given once.')
  const { key: given, tag } = selected(argument, argument === undefined ? tags?.[0] : undefined)
  const body = await changesOf(session, tag === undefined ? options : { limit, ...others })
  if (tag !== undefined) {
    const keys = await keysTagged(run, tag, 'Change')
    const change = ({ id }: Key) => api.ask('PATCH /admin/keys/:key', { key: id }, body)
    if (keys) await warnOfUnpriced(run, await doEach(run, keys, 'changed', change))
    return
  }
  const before = await one(api, given)
  if (options.dryRun) return await show(before, () => `Would change ${nameOf(before)}.\n`)
  const key = await api.ask('PATCH /admin/keys/:key', { key: before.id }, body)
  await show(key, keyRenderer(api))
  await warnOfUnpriced(run, [key])
  const gone = before.limits.filter(({ name }) => !key.limits.some((kept) => kept.name === name))
  if (gone.length > 0) session.io.err(`Removed: ${gone.map(({ name }) => name).join(', ')}.\n`)
}

/** Single limits are set beside the others, unless all are replaced. */
async function changesOf(
  session: Session,
  { removeLimit, replaceLimits, ...options }: FieldOptions,
) {
  const { limits, ...others } = await bodyOf(session, options)
  const isAll = replaceLimits === true || !Array.isArray(limits) || limits.length === 0
  return mustChange({
    ...others,
    ...(limits !== undefined && { [isAll ? 'limits' : 'set_limits']: limits }),
    ...(removeLimit !== undefined && { remove_limits: removeLimit }),
  })
}

function listed(text: string, before: readonly string[] = []): readonly string[] {
  return [...before, text]
}

function addEnabling(keys: CliCommand, enabled: boolean, description: string): void {
  const word = enabled ? 'enable' : 'disable'
  keys
    .command(word)
    .summary(`${word} a key`)
    .description(description)
    .argument('[key]', KEY_ARGUMENT)
    .option('--tag <tag>', 'all keys with this tag')
    .option('--yes', 'do it to all of them without asking')
    .option('--dry-run', 'only say which keys it would be')
    .json()
    .usesApi(async (run: Run<BulkOptions>, argument?: string) => {
      const { api, options, show } = run
      const change = ({ id }: Key) => api.ask('PATCH /admin/keys/:key', { key: id }, { enabled })
      const { key: given, tag } = selected(argument, options.tag)
      if (tag === undefined) {
        const found = await one(api, given)
        if (options.dryRun) return await show(found, () => `Would ${word} ${nameOf(found)}.\n`)
        const key = await change(found)
        return await show(key, () => `${nameOf(key)} is ${word}d.\n`)
      }
      const verb = enabled ? 'Enable' : 'Disable'
      const keys = await keysTagged(run, tag, verb)
      if (keys) await doEach(run, keys, `${word}d`, change)
    })
    .examples(
      `quota-proxy keys ${word} key_4hXcQ0m2VtYb7LrKp9Zs`,
      `quota-proxy keys ${word} trial-user-1`,
      `quota-proxy keys ${word} --tag course-2026 --yes`,
    )
}

function addCredit(keys: CliCommand): void {
  keys
    .command('credit')
    .summary('add or take units')
    .description(
      'Add units to the present period of a limit, or take them if the number is negative. What was used stays; the next period begins with the plain amount.',
    )
    .argument('<key>', KEY_ARGUMENT)
    .argument(
      '<amount>',
      'how many units; of a limit in cost an amount of money, such as 5.50',
      readAmount,
    )
    .option('--limit <name>', 'the name of a limit; the quota unless given')
    .option('--reason <text>', 'kept with the credit')
    .json()
    .usesApi(async ({ api, options, show }: Run<CreditOptions>, argument: string, text: string) => {
      const given = await keyGiven(api, argument)
      const amount = await amountOf(api, given, options.limit, text)
      const body = { amount, ...fieldsOf(options, { limit: 'limit', reason: 'reason' }) }
      await show(await api.ask('POST /admin/keys/:key/credit', given, body), keyRenderer(api))
    })
    .examples(
      'quota-proxy keys credit key_4hXcQ0m2VtYb7LrKp9Zs 500 --reason goodwill',
      'quota-proxy keys credit key_4hXcQ0m2VtYb7LrKp9Zs -100',
      'quota-proxy keys credit key_4hXcQ0m2VtYb7LrKp9Zs 10000 --limit tokens-day',
      'quota-proxy keys credit key_4hXcQ0m2VtYb7LrKp9Zs 5.50 --limit cost-month',
    )
}

type CreditOptions = AdminOptions & { readonly limit?: string }

function readAmount(text: string): string {
  if (/^[+-]?\d{1,16}(?:\.\d{1,6})?$/.test(text)) return text
  throw new InvalidArgumentError('It must be a whole number, or money such as 5.50.')
}

/** Units of the limit that is meant. The API refuses one that the key does not have. */
async function amountOf(
  api: Api,
  given: Given<'GET /admin/keys/:key'>,
  limit: string | undefined,
  text: string,
): Promise<number> {
  const { limits } = await api.ask('GET /admin/keys/:key', given)
  const unit = limits.find(({ name }) => name === limit)?.unit ?? 'requests'
  const units = parseCredit(unit, text)
  if (units !== undefined) return units
  throw new Misuse(
    unit === 'cost'
      ? 'The amount must be money with at most 6 decimals, such as 5.50.'
      : 'The amount must be a whole number: only limits in cost have decimals.',
  )
}
