/** `quota-proxy upstreams`. A credential comes from a file or standard input, and is not shown. */
import { Option } from 'commander'
import { CHARGE_ON } from '../../domain/upstream.ts'
import type { AdminOptions, CliCommand, Run } from '../command.ts'
import { fieldsOf, mustChange, NOTHING, readConcurrency, readFields, readSecret } from '../input.ts'
import { presetFor } from '../prices/presets.ts'
import { UPSTREAM_COLUMNS, type Upstream, upstreamRenderer } from './show.ts'

type FieldOptions = AdminOptions & { readonly credentialFile?: string; readonly fields?: string }

/** By the name of the option. */
const FIELDS = {
  baseUrl: 'base_url',
  mount: 'mount',
  chargeOn: 'charge_on',
  concurrency: 'concurrency',
}
const CREDENTIAL_FIELDS = {
  credentialHeader: 'header',
  credentialQuery: 'query',
  credentialTemplate: 'template',
}

export function addUpstreams(program: CliCommand): void {
  const upstreams = program
    .command('upstreams')
    .summary('manage upstreams')
    .description('Add, look at, change and delete the named targets of calls.')
  addCreate(upstreams)
  addReaders(upstreams)
  addUpdate(upstreams)
  addEnabling(upstreams, true, 'Let calls to it through again.')
  addEnabling(upstreams, false, 'Take no calls for it, until it is enabled.')
  addDelete(upstreams)
}

const BASE_URL = [
  '--base-url <url>',
  'where its calls go, such as https://api.openai.com/v1',
] as const

function addCreate(upstreams: CliCommand): void {
  const create = upstreams
    .command('create')
    .summary('add an upstream')
    .description('Add an upstream. Calls reach it from now on, under /u/NAME and under its mount.')
    .argument('<name>', 'lower-case letters, digits and dashes')
    .requiredOption(...BASE_URL)
  upstreamFields(create)
    .usesApi(
      async ({ session, api, options, show }: Run<FieldOptions>, name: string) => {
        const body = { ...(await bodyOf(options)), name }
        const upstream = await api.ask('POST /admin/upstreams', {}, body)
        await show(upstream, upstreamRenderer(api))
        session.io.err(proposal(upstream))
      },
      { creates: true },
    )
    .examples(
      'quota-proxy upstreams create openai --base-url https://api.openai.com/v1 --mount /v1 --credential-file openai.key',
      'pass openai | quota-proxy upstreams create openai --base-url https://api.openai.com/v1 --credential-file -',
    )
}

/** Where to find prices for it, in one line; empty if it has some, or needs none. */
function proposal({ name, base_url, meter, prices }: Upstream): string {
  const preset = meter.kind === 'tokens' && prices.length === 0 ? presetFor(base_url) : null
  if (preset === null) return ''
  return `It has no prices yet; to look at some: quota-proxy prices import --preset ${preset} --upstream ${name} --dry-run\n`
}

function addUpdate(upstreams: CliCommand): void {
  const update = upstreams
    .command('update')
    .summary('change an upstream')
    .description('Change what is given and leave the rest. The next call goes by it.')
    .argument('<name>', 'its name')
    .option(...BASE_URL)
  upstreamFields(update)
    .usesApi(async ({ api, options, show }: Run<FieldOptions>, name: string) => {
      const body = mustChange(await bodyOf(options))
      await show(
        await api.ask('PATCH /admin/upstreams/:name', { name }, body),
        upstreamRenderer(api),
      )
    })
    .examples(
      'quota-proxy upstreams update openai --credential-file new.key',
      'quota-proxy upstreams update openai --fields prices.json',
    )
}

function upstreamFields(command: CliCommand): CliCommand {
  return command
    .option('--mount <path>', 'path of this server under which it is called, or "none"', (text) =>
      text === 'none' ? NOTHING : text,
    )
    .option('--credential-file <file>', 'your credential for it; "-" is standard input')
    .option('--credential-header <name>', 'the header that it goes into')
    .option('--credential-query <name>', 'or the query parameter')
    .option('--credential-template <text>', 'what is sent, such as "Bearer {secret}"')
    .addOption(new Option('--charge-on <when>', 'which calls count').choices(CHARGE_ON))
    .option('--concurrency <number>', 'most calls in flight to it, or "none"', readConcurrency)
    .option('--fields <file>', 'further fields of the API, as a JSON object; "-" is standard input')
    .json()
}

/** The body that the API takes. What is given as an option wins over the same in `--fields`. */
async function bodyOf(options: FieldOptions) {
  const { credentialFile, fields } = options
  const credential = {
    ...(credentialFile !== undefined && { secret: await readSecret(credentialFile) }),
    ...fieldsOf(options, CREDENTIAL_FIELDS),
  }
  return {
    ...(await readFields(fields)),
    ...fieldsOf(options, FIELDS),
    ...(Object.keys(credential).length > 0 && { credential }),
  }
}

function addReaders(upstreams: CliCommand): void {
  upstreams
    .command('list')
    .summary('list upstreams')
    .description('List upstreams by name. --json is one array.')
    .json()
    .usesApi(async ({ api, list }) => {
      // All of them come at once, without pages.
      const { data } = await api.ask('GET /admin/upstreams', {})
      await list([data], UPSTREAM_COLUMNS, 'There are no upstreams.')
    })
    .examples('quota-proxy upstreams list')
  upstreams
    .command('show')
    .summary('show an upstream')
    .description('Show everything about an upstream but its credential.')
    .argument('<name>', 'its name')
    .json()
    .usesApi(async ({ api, show }, name: string) =>
      show(await api.ask('GET /admin/upstreams/:name', { name }), upstreamRenderer(api)),
    )
    .examples('quota-proxy upstreams show openai')
}

function addEnabling(upstreams: CliCommand, enabled: boolean, description: string): void {
  const word = enabled ? 'enable' : 'disable'
  upstreams
    .command(word)
    .summary(`${word} an upstream`)
    .description(description)
    .argument('<name>', 'its name')
    .json()
    .usesApi(async ({ api, show }, name: string) => {
      const upstream = await api.ask('PATCH /admin/upstreams/:name', { name }, { enabled })
      await show(upstream, () => `${upstream.name} is ${word}d.\n`)
    })
    .examples(`quota-proxy upstreams ${word} openai`)
}

function addDelete(upstreams: CliCommand): void {
  upstreams
    .command('delete')
    .summary('delete an upstream')
    .description(
      'Delete an upstream and its credential. Its entries in the ledger stay, with the prices that they were reckoned by.',
    )
    .argument('<name>', 'its name')
    .asksFirst({
      find: ({ api }, name) => api.ask('GET /admin/upstreams/:name', { name }),
      question: ({ name, base_url }) =>
        `Delete ${name} (${base_url})? Its credential is gone with it.`,
      async act({ api, show }, { name }) {
        const deleted = await api.ask('DELETE /admin/upstreams/:name', { name })
        await show(deleted, () => `${name} is deleted.\n`)
      },
    })
    .examples('quota-proxy upstreams delete openai --yes')
}
