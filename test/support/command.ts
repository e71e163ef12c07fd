/**
 * A command that ends by itself, run as a user runs it, and everything that it has said. It sees nothing of whoever runs
 * the tests but the path to programs: neither settings in the environment, nor a .env in the working directory.
 */
import { temporaryDirectory } from './server.ts'

export type Ended = { readonly out: string; readonly err: string; readonly code: number }

export async function runCommand(
  command: readonly string[],
  env: Readonly<Record<string, string>> = {},
  cwd = temporaryDirectory(),
  stdin?: string,
): Promise<Ended> {
  const child = Bun.spawn([...command], {
    cwd,
    env: { PATH: process.env['PATH'] ?? '', ...env },
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
