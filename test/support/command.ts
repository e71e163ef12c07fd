/**
 * A command that ends by itself, run as a user runs it, and everything that it has said. It sees nothing of whoever runs
 * the tests but the path to programs: neither settings in the environment, nor a .env in the working directory. With a
 * DATA_DIR it finds the database of whoever has served that directory.
 */
import { databaseEnv } from './engine.ts'
import { temporaryDirectory } from './server.ts'

export type Ended = { readonly out: string; readonly err: string; readonly code: number }

export async function runCommand(
  command: readonly string[],
  env: Readonly<Record<string, string>> = {},
  cwd = temporaryDirectory(),
  stdin?: string,
): Promise<Ended> {
  // From afar there is nothing of the installation but its address.
  const here = command.includes('--url') ? {} : await databaseEnv(env)
  const child = Bun.spawn([...command], {
    cwd,
    env: { PATH: process.env['PATH'] ?? '', ...here, ...env },
    stdin: stdin === undefined ? 'ignore' : Buffer.from(stdin),
    stdout: 'pipe',
    stderr: 'pipe',
  })
  // Read while it runs: a pipe that is full would stop it.
  const [out, err, code] = await Promise.all([
    child.stdout.text(),
    child.stderr.text(),
    child.exited,
  ])
  return { out, err, code }
}
