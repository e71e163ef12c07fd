/**
 * How commands reach the admin API: at a server anywhere (`--url`), else at the one that runs on this data directory (its
 * control socket), else within this process, on the database itself. Commands are written once, against what the API answers.
 * No token ever stands in an argument, and none is sent anywhere that the operator has not named.
 */
import { readFileSync } from 'node:fs'
import type { Command } from 'commander'
import { loadConfig } from '../config/load.ts'
import type { Config } from '../config/options.ts'
import { checkAdminToken } from '../domain/operator-secrets.ts'
import { StoreInUse } from '../errors.ts'
import { errorCode } from '../lib/error-code.ts'
import { openInProcess } from './in-process.ts'
import type { Session } from './program.ts'
import { asUrl, connects, send, socketOf, type Target } from './wire.ts'

export type AdminOptions = {
  readonly url?: string
  readonly tokenFile?: string
  readonly cacert?: string
  readonly json?: boolean
}

/** `body` is what the JSON says, or the text if it is none. */
export type Answer = { readonly status: number; readonly body: unknown }

export type Admin = {
  /** `process`: no server runs on this data directory, and the API answers within this process. */
  readonly way: 'url' | 'socket' | 'process'
  request(method: string, path: string, body?: unknown): Promise<Answer>
  close(): void
}

/** The command was used wrongly, in a way that commander cannot see: exit code 2. */
export class Misuse extends Error {}

/** The API has said no. */
export class Refused extends Error {
  readonly answer: Answer

  constructor(answer: Answer) {
    super(`The server answered ${answer.status}.`)
    this.answer = answer
  }
}

/** A server that is about to start or to end has the database, and no socket: both take less. */
const WAIT_MS = 5_000
const RETRY_MS = 50

/** What each command that talks to the admin API takes. */
export function withServer(command: Command, printsJson = true): Command {
  if (printsJson) command.option('--json', 'print JSON')
  return command
    .optionsGroup('Which server:')
    .option('--url <url>', 'a server anywhere, instead of the one on this data directory')
    .option('--token-file <file>', 'file with its admin token; else ADMIN_TOKEN is sent')
    .option('--cacert <file>', 'certificates to trust instead of those of this system')
}

export function examples(command: Command, ...lines: readonly string[]): Command {
  return command.addHelpText('after', `\nExamples:\n${lines.map((line) => `  ${line}\n`).join('')}`)
}

type Work = (admin: Admin) => Promise<void>

/**
 * Does what a command has to do with the API, and says so if the API refuses. Only `creates` makes a database where there
 * is none.
 */
export async function administer(
  session: Session,
  options: AdminOptions,
  work: Work,
  { creates = false } = {},
): Promise<void> {
  const admin = await openAdmin(session, options, creates)
  try {
    await work(admin)
  } catch (error) {
    if (!(error instanceof Refused)) throw error
    const { answer } = error
    session.io.err(
      options.json ? `${JSON.stringify(answer.body)}\n` : `quota-proxy: ${explain(answer)}`,
    )
    session.exitCode = 1
  } finally {
    admin.close()
  }
}

/** What the API answers, or throws `Refused`. */
export async function ask<T>(
  admin: Admin,
  method: string,
  path: string,
  body?: unknown,
): Promise<T> {
  const answer = await admin.request(method, path, body)
  if (answer.status >= 400) throw new Refused(answer)
  if (typeof answer.body !== 'object' || answer.body === null) throw new Error(STRANGER)
  return answer.body as T
}

async function openAdmin(
  { env, io }: Session,
  options: AdminOptions,
  creates: boolean,
): Promise<Admin> {
  if (options.url === undefined && (options.tokenFile ?? options.cacert) !== undefined)
    throw new Misuse('--token-file and --cacert are for a server that --url names.')
  const loaded = loadConfig(env)
  if (!loaded.ok)
    throw new Misuse(`The configuration is not valid:\n  - ${loaded.problems.join('\n  - ')}`)
  const { config } = loaded
  if (options.url === undefined) return await openLocal(config, creates)
  const target = asUrl(options.url)
  if (target === null) throw new Misuse('--url must be http or https, with no user, query or hash.')
  const { isExposed, isLocal, base } = target
  if (isExposed)
    io.err('warning: the admin token goes over plain http; whoever is in between can read it.\n')
  const token = readToken(options.tokenFile, config)
  const ca = options.cacert === undefined ? undefined : readText(options.cacert, '--cacert')
  return overWire('url', { base, token, ca, usesProxy: !isLocal })
}

async function openLocal(config: Config, creates: boolean): Promise<Admin> {
  const socket = socketOf(config.dataDir)
  const deadline = performance.now() + WAIT_MS
  for (;;) {
    if (await connects(socket)) return overWire('socket', { base: 'http://localhost', socket })
    try {
      return await openInProcess(config, creates)
    } catch (error) {
      if (!(error instanceof StoreInUse) || performance.now() > deadline) throw error
      await Bun.sleep(RETRY_MS)
    }
  }
}

function overWire(way: Admin['way'], target: Target): Admin {
  return { way, request: (method, path, body) => send(target, method, path, body), close() {} }
}

/** The token of the data directory is for the server on it: another one gets only what it is given. */
function readToken(file: string | undefined, { adminToken }: Config): string {
  const token = file === undefined ? adminToken : readText(file, '--token-file')
  if (token === undefined)
    throw new Misuse('--url needs the admin token of that server: --token-file, or ADMIN_TOKEN.')
  const checked = checkAdminToken(token)
  if (!checked.ok) throw new Misuse(`The admin token ${checked.problem}`)
  return checked.value
}

function readText(path: string, option: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw new Misuse(`${option} names a file that cannot be read (${errorCode(error)}).`)
  }
}

export const STRANGER = 'What answered is not the admin API of a quota-proxy: look at --url.'

/** What to do on the command line, where it is not what the API says. */
const ADVICE: Readonly<Record<string, string>> = {
  key_not_found: 'There is no such key. "quota-proxy keys list" shows their ids.',
  upstream_not_found: 'There is no such upstream. "quota-proxy upstreams list" shows them.',
  upstream_already_exists:
    'There is one of this name. Change it with "quota-proxy upstreams update".',
  missing_admin_token: 'Give the admin token with --token-file or ADMIN_TOKEN.',
  invalid_admin_token: 'This is not the admin token of that server. Give it with --token-file.',
  not_found: 'The server does not know this command. Is it older, or is its admin API elsewhere?',
}

type Problem = {
  readonly code?: string
  readonly detail?: string
  readonly errors?: readonly { readonly path: string; readonly message: string }[]
}

/** A refusal in one line, and a line for everything that is wrong with an input. */
export function explain({ status, body }: Answer): string {
  const { code, detail, errors = [] } = problemOf(body)
  if (code === undefined) return `${STRANGER} It answered ${status}.\n`
  // The detail of a refused input is its first error in other words.
  const said = ADVICE[code] ?? (errors.length > 0 ? 'The request is not valid.' : detail)
  const lines = errors.map(({ path, message }) => `  - ${path || 'the request'} ${message}\n`)
  return `${said} (${code})\n${lines.join('')}`
}

function problemOf(body: unknown): Problem {
  return typeof body === 'object' && body !== null ? body : {}
}
