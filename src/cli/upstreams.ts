/** `quota-proxy upstreams`. A credential comes from a file or from standard input, and is never shown. */
import { type Command, Option } from 'commander'
import { type AdminOptions, administer, ask, examples, Misuse, withServer } from './admin.ts'
import { confirm } from './confirm.ts'
import { asJson, readFields, readSecret } from './input.ts'
import { type Nothing, orNull, readConcurrency } from './keys/fields.ts'
import { type pages, printArray, printTable } from './list.ts'
import type { Session } from './program.ts'
import { type Column, renderMembers } from './table.ts'

type FieldOptions = AdminOptions & {
  readonly baseUrl?: string
  readonly mount?: string
  readonly credentialFile?: string
  readonly credentialHeader?: string
  readonly credentialQuery?: string
  readonly credentialTemplate?: string
  readonly chargeOn?: string
  readonly concurrency?: number | Nothing
  readonly fields?: string
}

type Upstream = {
  readonly name: string
  readonly base_url: string
  readonly mount: string | null
  readonly enabled: boolean
  readonly source: string
  readonly credential: { readonly set: boolean } | null
  readonly meter: { readonly kind: string }
  readonly prices: readonly unknown[]
}

const COLUMNS: readonly Column<Upstream>[] = [
  { head: 'NAME', of: ({ name }) => name },
  { head: 'BASE URL', of: ({ base_url }) => base_url, shrinks: true },
  { head: 'MOUNT', of: ({ mount }) => mount },
  { head: 'ENABLED', of: ({ enabled }) => (enabled ? 'yes' : 'no') },
  { head: 'CREDENTIAL', of: ({ credential }) => (credential?.set ? 'set' : null) },
  { head: 'METER', of: ({ meter }) => meter.kind },
  { head: 'PRICES', of: ({ prices }) => prices.length, right: true },
  { head: 'FROM', of: ({ source }) => source },
]

export function addUpstreams(program: Command, session: Session): void {
  const upstreams = program
    .command('upstreams')
    .summary('manage upstreams')
    .description('Add, look at, change and delete the named targets of calls.')
  addWriting(upstreams, session, 'create')
  addList(upstreams, session)
  addShow(upstreams, session)
  addWriting(upstreams, session, 'update')
  addEnabling(upstreams, session, true)
  addEnabling(upstreams, session, false)
  addDelete(upstreams, session)
}

function addWriting(upstreams: Command, session: Session, verb: 'create' | 'update'): void {
  const isNew = verb === 'create'
  const command = upstreams
    .command(verb)
    .summary(isNew ? 'add an upstream' : 'change an upstream')
    .description(
      isNew
        ? 'Add an upstream. Calls reach it from now on, under /u/NAME and under its mount.'
        : 'Change what is given and leave the rest. The next call goes by it.',
    )
    .argument('<name>', isNew ? 'lower-case letters, digits and dashes' : 'its name')
  const baseUrl = 'where its calls go, such as https://api.openai.com/v1'
  if (isNew) command.requiredOption('--base-url <url>', baseUrl)
  else command.option('--base-url <url>', baseUrl)
  command
    .option('--mount <path>', 'path of this server under which it is called, or "none"')
    .option('--credential-file <file>', 'your credential for it; "-" is standard input')
    .option('--credential-header <name>', 'the header that it goes into')
    .option('--credential-query <name>', 'or the query parameter')
    .option('--credential-template <text>', 'what is sent, such as "Bearer {secret}"')
    .addOption(
      new Option('--charge-on <when>', 'which calls count').choices([
        'attempt',
        'answer',
        'success',
      ]),
    )
    .option('--concurrency <number>', 'most calls in flight to it, or "none"', readConcurrency)
    .option('--fields <file>', 'further fields of the API, as a JSON object; "-" is standard input')
    .action(async (name: string, options: FieldOptions) => {
      const body = { ...(await bodyOf(options)), ...(isNew && { name }) }
      if (Object.keys(body).length === 0)
        throw new Misuse('There is nothing to change: give at least one option.')
      await administer(
        session,
        options,
        async (admin) => {
          const [method, path] = isNew
            ? (['POST', '/admin/upstreams'] as const)
            : (['PATCH', pathOf(name)] as const)
          const upstream = await ask<Upstream>(admin, method, path, body)
          session.io.out(options.json ? asJson(upstream) : renderUpstream(upstream))
        },
        { creates: isNew },
      )
    })
  examples(
    withServer(command),
    ...(isNew
      ? [
          'quota-proxy upstreams create openai --base-url https://api.openai.com/v1 --mount /v1 --credential-file openai.key',
          'pass openai | quota-proxy upstreams create openai --base-url https://api.openai.com/v1 --credential-file -',
        ]
      : [
          'quota-proxy upstreams update openai --credential-file new.key',
          'quota-proxy upstreams update openai --fields prices.json',
        ]),
  )
}

function addList(upstreams: Command, session: Session): void {
  const command = upstreams
    .command('list')
    .summary('list upstreams')
    .description('List upstreams by name. --json is one array.')
    .action(async (options: AdminOptions) => {
      await administer(session, options, async (admin) => {
        const found = allOf(await ask<{ data: Upstream[] }>(admin, 'GET', '/admin/upstreams'))
        if (options.json) return await printArray(session, found)
        await printTable(session, found, COLUMNS, 'There are no upstreams.')
      })
    })
  examples(withServer(command), 'quota-proxy upstreams list')
}

/** All of them come at once, without pages. */
async function* allOf<T>({ data }: { readonly data: readonly T[] }): ReturnType<typeof pages<T>> {
  yield data
}

function addShow(upstreams: Command, session: Session): void {
  const command = upstreams
    .command('show')
    .summary('show an upstream')
    .description('Show everything about an upstream but its credential.')
    .argument('<name>', 'its name')
    .action(async (name: string, options: AdminOptions) => {
      await administer(session, options, async (admin) => {
        const upstream = await ask<Upstream>(admin, 'GET', pathOf(name))
        session.io.out(options.json ? asJson(upstream) : renderUpstream(upstream))
      })
    })
  examples(withServer(command), 'quota-proxy upstreams show openai')
}

function addEnabling(upstreams: Command, session: Session, enabled: boolean): void {
  const [word, done] = enabled ? ['enable', 'enabled'] : ['disable', 'disabled']
  const command = upstreams
    .command(word)
    .summary(`${word} an upstream`)
    .description(
      enabled ? 'Let calls to it through again.' : 'Take no calls for it, until it is enabled.',
    )
    .argument('<name>', 'its name')
    .action(async (name: string, options: AdminOptions) => {
      await administer(session, options, async (admin) => {
        const upstream = await ask<Upstream>(admin, 'PATCH', pathOf(name), { enabled })
        session.io.out(options.json ? asJson(upstream) : `${upstream.name} is ${done}.\n`)
      })
    })
  examples(withServer(command), `quota-proxy upstreams ${word} openai`)
}

function addDelete(upstreams: Command, session: Session): void {
  const command = upstreams
    .command('delete')
    .summary('delete an upstream')
    .description(
      'Delete an upstream and its credential. Its entries in the ledger stay, with the prices that they were reckoned by.',
    )
    .argument('<name>', 'its name')
    .option('--yes', 'do it without asking')
    .option('--dry-run', 'only say what would be done')
    .action(async (name: string, options: AdminOptions & { yes?: boolean; dryRun?: boolean }) => {
      await administer(session, options, async (admin) => {
        const upstream = await ask<Upstream>(admin, 'GET', pathOf(name))
        const question = `Delete ${name} (${upstream.base_url})? Its credential is gone with it.`
        if (options.dryRun) {
          session.io.out(options.json ? asJson(upstream) : `Would ask: ${question}\n`)
          return
        }
        if (!(await confirm(session, question, options))) {
          session.exitCode = 1
          return
        }
        const done = await ask(admin, 'DELETE', pathOf(name))
        session.io.out(options.json ? asJson(done) : `${name} is deleted.\n`)
      })
    })
  examples(withServer(command), 'quota-proxy upstreams delete openai --yes')
}

async function bodyOf(options: FieldOptions): Promise<Record<string, unknown>> {
  const { baseUrl, mount, chargeOn, concurrency } = options
  const { credentialFile, credentialHeader, credentialQuery, credentialTemplate } = options
  const credential = given({
    secret: credentialFile === undefined ? undefined : await readSecret(credentialFile),
    header: credentialHeader,
    query: credentialQuery,
    template: credentialTemplate,
  })
  const said = given({
    base_url: baseUrl,
    mount: mount === 'none' ? null : mount,
    credential: Object.keys(credential).length > 0 ? credential : undefined,
    charge_on: chargeOn,
    concurrency: concurrency === undefined ? undefined : orNull(concurrency),
  })
  return { ...(await readFields(options.fields)), ...said }
}

function given(fields: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined))
}

function pathOf(name: string): string {
  return `/admin/upstreams/${encodeURIComponent(name)}`
}

/** Every field of the API, since any of them may be what is looked for. */
function renderUpstream(upstream: Upstream): string {
  return renderMembers(
    Object.entries(upstream).map(([name, value]) => {
      const text = typeof value === 'object' && value !== null ? JSON.stringify(value) : value
      return [name, typeof text === 'boolean' ? (text ? 'yes' : 'no') : (text ?? null)]
    }),
  )
}
