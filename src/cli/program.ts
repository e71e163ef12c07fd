/**
 * The command line: every command, what it may print to, and the exit codes that scripts rely on:
 * 0 done, 1 failed, 2 wrong usage or configuration. It never ends the process itself.
 */
import { Command, CommanderError } from 'commander'
import type { Environment } from '../config/load.ts'
import { addConfig } from './config.ts'
import { addDoctor } from './doctor.ts'
import { addHealthcheck } from './healthcheck.ts'
import { addSecret } from './secret.ts'
import { addSelftest } from './selftest.ts'
import { addServe } from './serve.ts'
import { addVersion, versionLine } from './version.ts'

export type Io = { readonly out: (text: string) => void; readonly err: (text: string) => void }

/** What a command gets, and where it leaves its exit code. */
export type Session = { readonly env: Environment; readonly io: Io; exitCode: number }

/** `argv` holds only what follows the program's name. */
export async function runProgram(
  argv: readonly string[],
  env: Environment,
  io: Io,
): Promise<number> {
  const session: Session = { env, io, exitCode: 0 }
  const program = new Command('quota-proxy')
    .description('Hand out API keys with hard quotas in front of any HTTP API.')
    .version(versionLine(), '-v, --version', 'print the version')
    .helpOption('-h, --help', 'show this help')
    .helpCommand('help [command]', 'show the help of a command')
    .exitOverride()
    .configureOutput({ writeOut: io.out, writeErr: io.err })
    .addHelpText('after', EXAMPLES)
  addServe(program, session)
  addHealthcheck(program, session)
  addConfig(program, session)
  addSelftest(program, session)
  addDoctor(program, session)
  addSecret(program, session)
  addVersion(program, session)

  try {
    // Not commander's default command: that one takes a misspelled command for its argument.
    await program.parseAsync(argv.length === 0 ? ['serve'] : argv, { from: 'user' })
    return session.exitCode
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
    io.err(`quota-proxy: ${error instanceof Error ? error.message : String(error)}\n`)
    return 1
  }
}

const EXAMPLES = `
Without a command, quota-proxy serves. Settings are environment variables:
"quota-proxy config" lists them all.

Examples:
  quota-proxy
  PORT=9000 LOG_LEVEL=debug quota-proxy
  ADMIN_TOKEN_FILE=/run/secrets/admin-token quota-proxy serve`
