/** `quota-proxy keys update|enable|disable|credit`: changes that can be taken back. */
import { InvalidArgumentError } from 'commander'
import type { AdminOptions, CliCommand, Run } from '../command.ts'
import { fieldsOf, mustChange } from '../input.ts'
import { bodyOf, type FieldOptions, keyFields, readQuota } from './fields.ts'
import { KEY_ARGUMENT, keyGiven } from './reference.ts'
import { nameOf, renderKey } from './show.ts'
import { warnOfUnpriced } from './unpriced.ts'

export function addKeyChanges(keys: CliCommand): void {
  const update = keys
    .command('update')
    .summary('change a key')
    .description(
      'Change what is given and leave the rest. A new amount counts at once and keeps what was used; a new window or time zone starts afresh.',
    )
    .argument('<key>', KEY_ARGUMENT)
    .option('--name <name>', 'for people; need not be unique')
    .option('--quota <number>', 'requests per window, or "unlimited"', readQuota)
  keyFields(update)
    .json()
    .usesApi(async (run: Run<AdminOptions & FieldOptions>, argument: string) => {
      const { api, options, show } = run
      const given = await keyGiven(argument)
      const body = mustChange(await bodyOf(options))
      const key = await api.ask('PATCH /admin/keys/:key', given, body)
      await show(key, renderKey)
      await warnOfUnpriced(run, key)
    })
    .examples(
      'quota-proxy keys update key_4hXcQ0m2VtYb7LrKp9Zs --quota 2000 --expires 90d',
      "quota-proxy keys update key_4hXcQ0m2VtYb7LrKp9Zs --paths '/chat/**' --models any",
    )
  addEnabling(keys, true, 'Let calls with a key that was disabled through again.')
  addEnabling(keys, false, 'Refuse every call with a key from now on, until it is enabled again.')
  addCredit(keys)
}

function addEnabling(keys: CliCommand, enabled: boolean, description: string): void {
  const word = enabled ? 'enable' : 'disable'
  keys
    .command(word)
    .summary(`${word} a key`)
    .description(description)
    .argument('<key>', KEY_ARGUMENT)
    .json()
    .usesApi(async ({ api, show }, argument: string) => {
      const key = await api.ask('PATCH /admin/keys/:key', await keyGiven(argument), { enabled })
      await show(key, () => `${nameOf(key)} is ${word}d.\n`)
    })
    .examples(`quota-proxy keys ${word} key_4hXcQ0m2VtYb7LrKp9Zs`)
}

function addCredit(keys: CliCommand): void {
  keys
    .command('credit')
    .summary('add or take units')
    .description(
      'Add units to the present period of a limit, or take them if the number is negative. What was used stays; the next period begins with the plain amount.',
    )
    .argument('<key>', KEY_ARGUMENT)
    .argument('<amount>', 'how many units', readAmount)
    .option('--limit <name>', 'the name of a limit; the quota unless given')
    .option('--reason <text>', 'kept with the credit')
    .json()
    .usesApi(async ({ api, options, show }, argument: string, amount: number) => {
      const body = { amount, ...fieldsOf(options, { limit: 'limit', reason: 'reason' }) }
      const given = await keyGiven(argument)
      await show(await api.ask('POST /admin/keys/:key/credit', given, body), renderKey)
    })
    .examples(
      'quota-proxy keys credit key_4hXcQ0m2VtYb7LrKp9Zs 500 --reason goodwill',
      'quota-proxy keys credit key_4hXcQ0m2VtYb7LrKp9Zs -100',
      'quota-proxy keys credit key_4hXcQ0m2VtYb7LrKp9Zs 10000 --limit tokens-day',
    )
}

function readAmount(text: string): number {
  if (/^[+-]?\d{1,16}$/.test(text)) return Number(text)
  throw new InvalidArgumentError('It must be a whole number.')
}
