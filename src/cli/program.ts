/**
 * The command line: every command, what it may print to, and the exit codes that scripts rely on:
 * 0 done, 1 failed, 2 wrong usage or configuration. It never ends the process itself.
 */
import { CommanderError } from 'commander'
import type { Environment } from '../config/environment.ts'
import { ROWS } from '../config/options.ts'
import { DatabaseUnusable } from '../errors.ts'
import { addBackup } from './backup/index.ts'
import { addRestore } from './backup/restore.ts'
import { CliCommand } from './command.ts'
import { addCompletion } from './completion/index.ts'
import { addConfig } from './installation/config.ts'
import { addDoctor } from './installation/doctor.ts'
import { addHealthcheck } from './installation/healthcheck.ts'
import { addMigrate } from './installation/migrate.ts'
import { addMigrateData } from './installation/migrate-data.ts'
import { addSecret } from './installation/secret.ts'
import { addStatus } from './installation/status.ts'
import { addToken } from './installation/token.ts'
import { addVersion, versionLine } from './installation/version.ts'
import { addKeys } from './keys/index.ts'
import { addPrices } from './prices/index.ts'
import { addCalls } from './reports/calls.ts'
import { addUsage } from './reports/usage.ts'
import { addSelftest } from './selftest.ts'
import { addServe } from './serve.ts'
import { InvalidSettings, type Io, Misuse, ReaderGone, type Session } from './session.ts'
import { addTop } from './top/index.ts'
import { addUpstreams } from './upstreams/index.ts'

/** `argv` holds only what follows the program's name. */
export async function runProgram(
  argv: readonly string[],
  env: Environment,
  io: Io,
): Promise<number> {
  const session: Session = { env, io, exitCode: 0 }
  try {
    // Not commander's default command: that one takes a misspelled command for its argument.
    const program = createProgram(session)
    const given = argv.length === 0 ? ['serve'] : helpAsked(program, argv)
    await program.parseAsync(given, { from: 'user' })
    return session.exitCode
  } catch (error) {
    if (error instanceof ReaderGone) return session.exitCode
    if (error instanceof CommanderError) {
      if (error.code === 'commander.unknownOption') io.err(settingHint(error.message))
      if (error.code === 'commander.unknownCommand')
        io.err('"quota-proxy help" lists all commands.\n')
      return error.exitCode === 0 ? 0 : 2
    }
    const name = error instanceof InvalidSettings ? '' : 'quota-proxy: '
    io.err(`${name}${error instanceof Error ? error.message : String(error)}\n`)
    return error instanceof Misuse || error instanceof DatabaseUnusable ? 2 : 1
  }
}

/**
 * `help keys create` is `keys create --help`: commander looks one level deep. A word that is no command is left as the last
 * one, and refused as it would be without `help`.
 */
function helpAsked(program: CliCommand, [help, ...words]: readonly string[]): readonly string[] {
  if (help !== 'help' || words.length === 0) return help === undefined ? [] : [help, ...words]
  let { commands } = program
  for (const [i, word] of words.entries()) {
    if (commands.length === 0) break
    const found = commands.find((command) => command.name() === word)
    if (!found) return word.startsWith('-') ? [help, ...words] : words.slice(0, i + 1)
    commands = found.commands
  }
  return [...words, '--help']
}

/** For an option that is a setting by its name; empty for any other. Never repeats a value. */
function settingHint(message: string): string {
  const [, flag = ''] = /'--?([a-z0-9-]+)/i.exec(message) ?? []
  const name = flag === 'p' ? 'PORT' : flag.toUpperCase().replaceAll('-', '_')
  const setting = ROWS.find(([, { env }]) => env === name)?.[1]
  if (!setting) return ''
  return `${name} is a setting, and settings are environment variables: ${name}=… quota-proxy\n`
}

export function createProgram(session: Session): CliCommand {
  const { io } = session
  const program = new CliCommand(session, 'quota-proxy')
    .description('Hand out API keys with hard quotas in front of any HTTP API.')
    .version(versionLine(), '-v, --version', 'print the version')
    .helpOption('-h, --help', 'show this help')
    .helpCommand('help [command]', 'show the help of a command')
    .exitOverride()
    .configureOutput({ writeOut: io.out, writeErr: io.err })
    .addHelpText('after', EXAMPLES)
  for (const [group, adders] of GROUPS) {
    program.commandsGroup(group)
    for (const add of adders) add(program)
  }
  return program
}

/** As the help lists them. */
const GROUPS: readonly (readonly [string, readonly ((program: CliCommand) => void)[]])[] = [
  ['Run it:', [addServe, addHealthcheck, addConfig]],
  ['Hand out and watch:', [addKeys, addUsage, addCalls, addTop, addUpstreams, addPrices]],
  [
    'Look after it:',
    [
      addStatus, addDoctor, addBackup, addRestore, addMigrate, addMigrateData, addToken, addSecret,
      addSelftest,
    ], // biome-ignore format: one row
  ],
  ['Other:', [addCompletion, addVersion]],
]

const EXAMPLES = `
Without a command, quota-proxy serves. Settings are environment variables:
"quota-proxy config" lists them all.

Examples:
  quota-proxy
  PORT=9000 LOG_LEVEL=debug quota-proxy
  ADMIN_TOKEN_FILE=/run/secrets/admin-token quota-proxy serve`
