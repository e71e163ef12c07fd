/** `quota-proxy serve`: runs the server until it is told to stop. */
import { loadConfig } from '../config/load.ts'
import type { CliCommand } from './command.ts'
import { InvalidSettings, type Session } from './session.ts'

export function addServe(program: CliCommand): void {
  const { session } = program
  program
    .command('serve')
    .summary('run the server (the default)')
    .description(
      'Run the server until SIGTERM or SIGINT; calls in flight may finish first. A signal that comes a second later or more stops at once.',
    )
    .addHelpText('after', EXAMPLES)
    .action(async () => {
      session.exitCode = await serve(session)
    })
}

async function serve({ env, io }: Session): Promise<number> {
  const loaded = loadConfig(env)
  if (!loaded.ok) throw new InvalidSettings(loaded.problems)
  // Loaded here so that the other commands start without the database and the web framework.
  const { runServer } = await import('../server.ts')
  try {
    return await runServer({ config: loaded.config, env, warnings: loaded.warnings })
  } catch (error) {
    // The program prints the message; where it was thrown is of use only to whoever debugs.
    if (loaded.config.logLevel === 'debug' && error instanceof Error) io.err(`${error.stack}\n`)
    throw error
  }
}

const EXAMPLES = `
Examples:
  quota-proxy serve
  HOST=0.0.0.0 PORT=8787 DATA_DIR=/data quota-proxy serve
  DATABASE_URL=:memory: quota-proxy serve`
