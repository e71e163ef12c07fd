/** What all commands have in common that talk to the admin API: which server, how to print, how to fail. */
import type { Command } from 'commander'
import { type Api, createApi, Refused } from './api.ts'
import { connect, type ServerOptions } from './connect.ts'
import { asJson, type Found, printArray, printTable } from './output/list.ts'
import type { Column } from './output/table.ts'
import type { Session } from './session.ts'

export type AdminOptions = ServerOptions & { readonly json?: boolean }

/** What a command works with while it runs. */
export type Run<Options = AdminOptions> = {
  readonly session: Session
  readonly options: Options
  readonly api: Api
  /** Prints one thing: as JSON if that is asked for, else as `render` writes it. */
  show<T>(thing: T, render: (thing: T) => string | Promise<string>): Promise<void>
  /** Prints a list: as one JSON array if that is asked for, else as a table, or `none` if it is empty. */
  list<T>(found: Found<T>, columns: readonly Column<T>[], none: string): Promise<void>
}

export type Work<Options, Args extends unknown[]> = (
  run: Run<Options>,
  ...args: Args
) => Promise<void>

type About = {
  readonly examples: readonly string[]
  /** Makes a database where there is none. */
  readonly creates?: boolean
  /** It prints JSON in any case. */
  readonly alwaysJson?: boolean
}

/** Does `work` with the arguments of the command, and says so if the API refuses. */
export function adminCommand<Args extends unknown[], Options extends AdminOptions = AdminOptions>(
  session: Session,
  command: Command,
  { examples, creates = false, alwaysJson = false }: About,
  work: Work<Options, Args>,
): Command {
  if (!alwaysJson) command.option('--json', 'print JSON')
  command
    .optionsGroup('Which server:')
    .option('--url <url>', 'a server anywhere, instead of the one on this data directory')
    .option('--token-file <file>', 'file with its admin token; else ADMIN_TOKEN is sent')
    .option('--cacert <file>', 'certificates to trust instead of those of this system')
    .action(async () => {
      const options = command.opts<Options>()
      const api = createApi(() => connect(session, options, creates))
      try {
        // As commander has read them: the arguments are declared beside `work`, in its order.
        await work(runOf(session, options, api), ...(command.processedArgs as Args))
      } catch (error) {
        if (!(error instanceof Refused)) throw error
        const { body, message } = error
        session.io.err(options.json ? `${JSON.stringify(body)}\n` : `quota-proxy: ${message}`)
        session.exitCode = 1
      } finally {
        await api.close()
      }
    })
  return withExamples(command, ...examples)
}

export function withExamples(command: Command, ...lines: readonly string[]): Command {
  return command.addHelpText('after', `\nExamples:\n${lines.map((line) => `  ${line}\n`).join('')}`)
}

function runOf<Options extends AdminOptions>(
  session: Session,
  options: Options,
  api: Api,
): Run<Options> {
  return {
    session,
    options,
    api,
    show: async (thing, render) =>
      session.io.out(options.json ? asJson(thing) : await render(thing)),
    list: async (found, columns, none) =>
      options.json
        ? await printArray(session, found)
        : await printTable(session, found, columns, none),
  }
}
