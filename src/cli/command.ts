/**
 * What commands of this program have in common. Those that use the admin API are written once,
 * against what it answers, whichever way it is reached.
 */
import { Command } from 'commander'
import { type Api, createApi, Refused } from './api.ts'
import { confirm } from './confirm.ts'
import { connect, type ServerOptions } from './connect.ts'
import { asJson, type Found, printArray, printTable, type Rendered } from './output/list.ts'
import { type Column, terminalWidth } from './output/table.ts'
import type { Session } from './session.ts'

export type JsonOption = { readonly json?: boolean }
export type AdminOptions = ServerOptions & JsonOption
export type ConfirmedOptions = AdminOptions & { readonly yes?: boolean; readonly dryRun?: boolean }

/** What a command works with while it runs. */
export type Run<Options = AdminOptions> = {
  readonly session: Session
  readonly options: Options
  readonly api: Api
  /** Prints one thing: as JSON if that is asked for, else as `render` writes it. */
  show<T>(thing: T, render: Render<T>): Promise<void>
  /** Prints a list: as one JSON array if that is asked for, else as a table; `none` if empty. */
  list<T>(found: Found<T>, columns: readonly Column<T>[], none: string): Promise<void>
}

/** Writes a thing for people, in lines of a width at most. */
export type Render<T> = (thing: T, width: number | undefined) => Said | Promise<Said>
type Said = string | Rendered

type Work<Options, Args extends unknown[]> = (run: Run<Options>, ...args: Args) => Promise<void>

type Deed<Thing, Options> = {
  /** Looks up what the argument names. */
  find(run: Run<Options>, argument: string): Promise<Thing>
  /** Says what will be gone. */
  question(thing: Thing, options: Options): string
  act(run: Run<Options>, thing: Thing): Promise<void>
}

export class CliCommand extends Command {
  readonly session: Session

  constructor(session: Session, name?: string) {
    super(name)
    this.session = session
  }

  override createCommand(name?: string): CliCommand {
    return new CliCommand(this.session, name)
  }

  examples(...lines: readonly string[]): this {
    const text = lines.map((line) => `  ${line}\n`).join('')
    return this.addHelpText('after', `\nExamples:\n${text}`)
  }

  json(): this {
    return this.option('--json', 'print JSON')
  }

  /** Does `work`, and says so if the API refuses. One that `creates` makes a database if it is told to. */
  usesApi<Args extends unknown[], Options extends AdminOptions = AdminOptions>(
    work: Work<Options, Args>,
    { creates = false } = {},
  ): this {
    const grouped = this.optionsGroup('Which server:')
    if (creates) grouped.option('--create', 'make a database if this data directory has none')
    return grouped
      .option('--url <url>', 'a server anywhere, instead of the one on this data directory')
      .option('--token-file <file>', 'file with its admin token; else ADMIN_TOKEN is sent')
      .option('--cacert <file>', 'certificates to trust instead of those of this system')
      .action(async () => {
        const options = this.opts<Options>()
        const api = createApi(() => connect(this.session, options))
        try {
          // As commander has read them: they are declared beside `work`, in its order.
          await work(runOf(this.session, options, api), ...(this.processedArgs as Args))
        } catch (error) {
          if (!(error instanceof Refused)) throw error
          const refusal = options.json ? JSON.stringify(error.body) : undefined
          this.session.io.err(refusal ? `${refusal}\n` : `quota-proxy: ${error.message}`)
          this.session.exitCode = 1
        } finally {
          await api.close()
        }
      })
  }

  /** Shows what it is about to change, asks, and then does it. */
  asksFirst<Thing, Options extends ConfirmedOptions>(deed: Deed<Thing, Options>): this {
    return this.option('--yes', 'do it without asking')
      .option('--dry-run', 'only say what would be done')
      .json()
      .usesApi(async (run: Run<Options>, argument: string) => {
        const thing = await deed.find(run, argument)
        const question = deed.question(thing, run.options)
        if (await isWanted(run, thing, question)) await deed.act(run, thing)
      })
  }
}

/** Asks before `thing` is changed. With --dry-run it only says what would be asked. */
export async function isWanted<Thing>(
  { session, options, show }: Run<ConfirmedOptions>,
  thing: Thing,
  question: string,
): Promise<boolean> {
  if (options.dryRun) {
    await show(thing, () => `Would ask: ${question}\n`)
    return false
  }
  if (await confirm(session, question, options.yes)) return true
  session.exitCode = 1
  return false
}

function runOf<Options extends AdminOptions>(
  session: Session,
  options: Options,
  api: Api,
): Run<Options> {
  const { json } = options
  return {
    session,
    options,
    api,
    async show(thing, render) {
      const { out, err } = session.io
      const said = json ? asJson(thing) : await render(thing, terminalWidth(session))
      const { text, note } = typeof said === 'string' ? { text: said, note: '' } : said
      out(text)
      if (note !== '') err(note)
    },
    list: (found, columns, none) =>
      json ? printArray(session, found) : printTable(session, found, columns, none),
  }
}
