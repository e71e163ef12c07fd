/** `quota-proxy keys update|enable|disable|credit`: changes that can be taken back. */
import { type Command, InvalidArgumentError } from 'commander'
import { type AdminOptions, administer, ask, examples, Misuse, withServer } from '../admin.ts'
import { asJson } from '../input.ts'
import type { Session } from '../program.ts'
import { bodyOf, type FieldOptions, keyFields, readQuota } from './fields.ts'
import { KEY_ARGUMENT, keyPath } from './reference.ts'
import { type Key, nameOf, renderKey } from './show.ts'

type UpdateOptions = AdminOptions & FieldOptions & { readonly name?: string }
type CreditOptions = AdminOptions & { readonly limit?: string; readonly reason?: string }

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
  keyFields(command).action(async (argument: string, options: UpdateOptions) => {
    const path = await keyPath(argument)
    const { name } = options
    const body = { ...(await bodyOf(options)), ...(name !== undefined && { name }) }
    if (Object.keys(body).length === 0)
      throw new Misuse('There is nothing to change: give at least one option.')
    await administer(session, options, async (admin) => {
      const key = await ask<Key>(admin, 'PATCH', path, body)
      session.io.out(options.json ? asJson(key) : await renderKey(key))
    })
  })
  examples(
    withServer(command),
    'quota-proxy keys update key_4hXcQ0m2VtYb7LrKp9Zs --quota 2000 --expires 90d',
    "quota-proxy keys update key_4hXcQ0m2VtYb7LrKp9Zs --paths '/chat/**' --models any",
  )
}

function addEnabling(keys: Command, session: Session, enabled: boolean): void {
  const [word, done] = enabled ? ['enable', 'enabled'] : ['disable', 'disabled']
  const command = keys
    .command(word)
    .summary(`${word} a key`)
    .description(
      enabled
        ? 'Let calls with a key that was disabled through again.'
        : 'Refuse every call with a key from now on, until it is enabled again.',
    )
    .argument('<key>', KEY_ARGUMENT)
    .action(async (argument: string, options: AdminOptions) => {
      const path = await keyPath(argument)
      await administer(session, options, async (admin) => {
        const key = await ask<Key>(admin, 'PATCH', path, { enabled })
        session.io.out(options.json ? asJson(key) : `${nameOf(key)} is ${done}.\n`)
      })
    })
  examples(withServer(command), `quota-proxy keys ${word} key_4hXcQ0m2VtYb7LrKp9Zs`)
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
    .action(async (argument: string, amount: number, options: CreditOptions) => {
      const path = await keyPath(argument)
      const { limit, reason } = options
      const body = {
        amount,
        ...(limit !== undefined && { limit }),
        ...(reason !== undefined && { reason }),
      }
      await administer(session, options, async (admin) => {
        const key = await ask<Key>(admin, 'POST', `${path}/credit`, body)
        session.io.out(options.json ? asJson(key) : await renderKey(key))
      })
    })
  examples(
    withServer(command),
    'quota-proxy keys credit key_4hXcQ0m2VtYb7LrKp9Zs 500 --reason goodwill',
    'quota-proxy keys credit key_4hXcQ0m2VtYb7LrKp9Zs -100',
    'quota-proxy keys credit key_4hXcQ0m2VtYb7LrKp9Zs 10000 --limit tokens-day',
  )
}

function readAmount(text: string): number {
  if (/^[+-]?\d{1,16}$/.test(text)) return Number(text)
  throw new InvalidArgumentError('It must be a whole number.')
}
