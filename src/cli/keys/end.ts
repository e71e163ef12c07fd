/** `quota-proxy keys reset|rotate|delete`: what cannot be taken back, and is asked about. */
import type { Command } from 'commander'
import { type AdminOptions, administer, ask, examples, withServer } from '../admin.ts'
import { confirm } from '../confirm.ts'
import { asJson } from '../input.ts'
import type { Session } from '../program.ts'
import { type Nothing, orNull, readQuota, readSeconds } from './fields.ts'
import { KEY_ARGUMENT, keyPath } from './reference.ts'
import { balanceOf, type Key, nameOf, renderKey } from './show.ts'

type Options = AdminOptions & {
  readonly yes?: boolean
  readonly dryRun?: boolean
  readonly quota?: number | Nothing
  readonly grace?: number
}

type Deed = {
  readonly question: (key: Key, options: Options) => string
  readonly method: 'POST' | 'DELETE'
  /** After the path of the key. */
  readonly path: string
  readonly body?: (options: Options) => object
  readonly render: (done: Key, before: Key) => string | Promise<string>
}

export function addKeyEnds(keys: Command, session: Session): void {
  addReset(keys, session)
  addRotate(keys, session)
  addDelete(keys, session)
}

function addReset(keys: Command, session: Session): void {
  const command = keys
    .command('reset')
    .summary('start the quota of a key afresh')
    .description('Let every limit of a key start at nothing used.')
    .argument('<key>', KEY_ARGUMENT)
    .option('--quota <number>', 'change the quota too; or "unlimited"', readQuota)
  does(command, session, {
    question: (key) => `Start ${nameOf(key)} afresh? ${balanceOf(key)}.`,
    method: 'POST',
    path: '/reset',
    body: ({ quota }) => (quota === undefined ? {} : { quota: orNull(quota) }),
    render: renderKey,
  })
  examples(
    command,
    'quota-proxy keys reset key_4hXcQ0m2VtYb7LrKp9Zs',
    'quota-proxy keys reset key_4hXcQ0m2VtYb7LrKp9Zs --quota 2000 --yes',
  )
}

function addRotate(keys: Command, session: Session): void {
  const command = keys
    .command('rotate')
    .summary('give a key a new secret')
    .description(
      'Give a key a new secret, which is shown this once. Its id, limits and what was used stay. The old secret is refused at once, or when the grace is over.',
    )
    .argument('<key>', KEY_ARGUMENT)
    .option('--grace <duration>', 'how long the old secret still works, such as 24h', readSeconds)
  does(command, session, {
    question: (key, { grace = 0 }) =>
      `Give ${nameOf(key)} a new secret? The old one is refused ${grace > 0 ? `in ${grace} seconds` : 'at once'}.`,
    method: 'POST',
    path: '/rotate',
    body: ({ grace }) => (grace === undefined ? {} : { grace_seconds: grace }),
    render: renderKey,
  })
  examples(
    command,
    'quota-proxy keys rotate key_4hXcQ0m2VtYb7LrKp9Zs --grace 24h',
    'quota-proxy keys rotate key_4hXcQ0m2VtYb7LrKp9Zs --yes --json | jq -r .key',
  )
}

function addDelete(keys: Command, session: Session): void {
  const command = keys
    .command('delete')
    .summary('delete a key')
    .description('Delete a key for good. Every call with it is refused from then on.')
    .argument('<key>', KEY_ARGUMENT)
  does(command, session, {
    question: (key) => `Delete ${nameOf(key)}? ${balanceOf(key)}.`,
    method: 'DELETE',
    path: '',
    render: (_, before) => `${nameOf(before)} is deleted.\n`,
  })
  examples(
    command,
    'quota-proxy keys delete key_4hXcQ0m2VtYb7LrKp9Zs',
    'quota-proxy keys delete key_4hXcQ0m2VtYb7LrKp9Zs --dry-run',
  )
}

function does(command: Command, session: Session, deed: Deed): void {
  command
    .option('--yes', 'do it without asking')
    .option('--dry-run', 'only say what would be done')
    .action(async (argument: string, options: Options) => {
      const path = await keyPath(argument)
      await administer(session, options, async (admin) => {
        const before = await ask<Key>(admin, 'GET', path)
        const question = deed.question(before, options)
        if (options.dryRun) {
          session.io.out(options.json ? asJson(before) : `Would ask: ${question}\n`)
          return
        }
        if (!(await confirm(session, question, options))) {
          session.exitCode = 1
          return
        }
        // By its id, so that a key named by its secret is not looked for by a secret that it has no more.
        const done = await ask<Key>(
          admin,
          deed.method,
          `/admin/keys/${before.id}${deed.path}`,
          deed.body?.(options),
        )
        session.io.out(options.json ? asJson(done) : await deed.render(done, before))
        if (done.key !== undefined) session.io.err(SHOWN_ONCE)
      })
    })
  withServer(command)
}

export const SHOWN_ONCE = 'The key is shown this once and cannot be had again: keep it now.\n'
