/** `quota-proxy keys update|enable|disable|credit`: changes that can be taken back. */
import { type Command, InvalidArgumentError } from 'commander'
import { type AdminOptions, adminCommand, type Run } from '../admin-command.ts'
import { fieldsOf, mustChange } from '../input.ts'
import type { Session } from '../session.ts'
import { bodyOf, type FieldOptions, keyFields, readQuota } from './fields.ts'
import { KEY_ARGUMENT, keyGiven } from './reference.ts'
import { nameOf, renderKey } from './show.ts'

export function addKeyChanges(keys: Command, session: Session): void {
  addUpdate(keys, session)
  addEnabling(keys, session, true)
  addEnabling(keys, session, false)
  addCredit(keys, session)
}

function addUpdate(keys: Command, session: Session): void {
  const command = keys
    .command('update')
    .summary('change a key')
    .description(
      'Change what is given and leave the rest. A new amount counts at once and keeps what was used; a new window or time zone starts afresh.',
    )
    .argument('<key>', KEY_ARGUMENT)
    .option('--name <name>', 'for people; need not be unique')
    .option('--quota <number>', 'requests per window, or "unlimited"', readQuota)
  const examples = [
    'quota-proxy keys update key_4hXcQ0m2VtYb7LrKp9Zs --quota 2000 --expires 90d',
    "quota-proxy keys update key_4hXcQ0m2VtYb7LrKp9Zs --paths '/chat/**' --models any",
  ]
  type Options = AdminOptions & FieldOptions
  const work = async ({ api, options, show }: Run<Options>, argument: string) => {
    const given = await keyGiven(argument)
    const body = mustChange(await bodyOf(options))
    await show(await api.ask('PATCH /admin/keys/:key', given, body), renderKey)
  }
  adminCommand(session, keyFields(command), { examples }, work)
}

function addEnabling(keys: Command, session: Session, enabled: boolean): void {
  const word = enabled ? 'enable' : 'disable'
  const command = keys
    .command(word)
    .summary(`${word} a key`)
    .description(
      enabled
        ? 'Let calls with a key that was disabled through again.'
        : 'Refuse every call with a key from now on, until it is enabled again.',
    )
    .argument('<key>', KEY_ARGUMENT)
  const examples = [`quota-proxy keys ${word} key_4hXcQ0m2VtYb7LrKp9Zs`]
  adminCommand(session, command, { examples }, async ({ api, show }, argument: string) => {
    const key = await api.ask('PATCH /admin/keys/:key', await keyGiven(argument), { enabled })
    await show(key, () => `${nameOf(key)} is ${word}d.\n`)
  })
}

function addCredit(keys: Command, session: Session): void {
  const command = keys
    .command('credit')
    .summary('add or take units')
    .description(
      'Add units to the present period of a limit, or take them if the number is negative. What was used stays; the next period begins with the plain amount.',
    )
    .argument('<key>', KEY_ARGUMENT)
    .argument('<amount>', 'how many units', readAmount)
    .option('--limit <name>', 'the name of a limit; the quota unless given')
    .option('--reason <text>', 'kept with the credit')
  const examples = [
    'quota-proxy keys credit key_4hXcQ0m2VtYb7LrKp9Zs 500 --reason goodwill',
    'quota-proxy keys credit key_4hXcQ0m2VtYb7LrKp9Zs -100',
    'quota-proxy keys credit key_4hXcQ0m2VtYb7LrKp9Zs 10000 --limit tokens-day',
  ]
  const work = async ({ api, options, show }: Run, argument: string, amount: number) => {
    const body = { amount, ...fieldsOf(options, { limit: 'limit', reason: 'reason' }) }
    const key = await api.ask('POST /admin/keys/:key/credit', await keyGiven(argument), body)
    await show(key, renderKey)
  }
  adminCommand(session, command, { examples }, work)
}

function readAmount(text: string): number {
  if (/^[+-]?\d{1,16}$/.test(text)) return Number(text)
  throw new InvalidArgumentError('It must be a whole number.')
}
