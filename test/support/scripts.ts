/**
 * Runs what operators find in `scripts/`, by dash, the strictest shell that Debian has for /bin/sh. They find quota-proxy
 * as a program: the source or the binary, as the run has it.
 */
import { chmodSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Ended, runCommand } from './command.ts'
import { knownDatabaseEnv } from './engine.ts'
import { ROOT } from './markdown.ts'
import { COMMAND, type TestServer, temporaryDirectory } from './server.ts'

export const SCRIPTS = join(ROOT, 'scripts')

export const SCRIPT_NAMES = readdirSync(SCRIPTS).filter((name) => name.endsWith('.sh'))

export type Finding = { readonly check: string; readonly ok: boolean; readonly detail: string }
export type Report = { readonly ok: boolean; readonly findings: readonly Finding[] }

/** A program in a directory of its own; what comes before `exec` is done first. */
export function writeProgram(name: string, before = ''): string {
  const path = join(temporaryDirectory(), name)
  const command = COMMAND.map((word) => `'${word}'`).join(' ')
  writeFileSync(path, `#!/bin/sh\n${before}\nexec ${command} "$@"\n`)
  chmodSync(path, 0o755)
  return path
}

export const PROGRAM = writeProgram('quota-proxy')

/** The working directory is empty unless one is given. */
export function runScript(
  name: string,
  args: readonly string[] = [],
  env: Readonly<Record<string, string>> = {},
  cwd = temporaryDirectory(),
): Promise<Ended> {
  const script = ['dash', join(SCRIPTS, name), ...args]
  return runCommand(script, { QUOTA_PROXY_BIN: PROGRAM, ...env }, cwd)
}

/** What a script finds, by its JSON. */
export async function report(
  name: string,
  args: readonly string[] = [],
  env: Readonly<Record<string, string>> = {},
  cwd = temporaryDirectory(),
): Promise<Report & { code: number; wrong: readonly string[] }> {
  const { out, err, code } = await runScript(name, [...args, '--json'], env, cwd)
  if (out === '') throw new Error(`${name} has printed nothing, and ended with ${code}: ${err}`)
  const found = JSON.parse(out) as Report
  return { ...found, code, wrong: found.findings.filter(({ ok }) => !ok).map(({ check }) => check) }
}

/** What whoever has started the server has in the environment. */
export function settingsOf(server: TestServer): Record<string, string> {
  return { DATA_DIR: server.dataDir, PORT: new URL(server.url).port }
}

/** Runs a command in a terminal, in which somebody types an answer. */
export async function answerInTerminal(
  command: string,
  answer: string,
  env: Readonly<Record<string, string>>,
  cwd: string,
): Promise<{ shown: string; code: number }> {
  const child = Bun.spawn(['script', '--quiet', '--return', '--command', command, '/dev/null'], {
    cwd,
    env: {
      PATH: process.env['PATH'] ?? '',
      QUOTA_PROXY_BIN: PROGRAM,
      ...knownDatabaseEnv(env),
      ...env,
    },
    stdin: new Blob([`${answer}\n`]),
    stdout: 'pipe',
    stderr: 'pipe',
  })
  const shown = await child.stdout.text()
  return { shown: shown.replaceAll('\r', ''), code: await child.exited }
}
