/**
 * A real quota-proxy in a process of its own, in an empty data directory: the source by default, the compiled binary
 * with TARGET=binary. Clients reach it through another server with FRONT=caddy, nginx or haproxy, and its database is on
 * PostgreSQL with DATABASE=postgres. Whatever a run starts is ended with it.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import type { Subprocess } from 'bun'
import { serverEnv } from './engine.ts'

const ROOT = resolve(import.meta.dir, '../..')

/** The command that runs quota-proxy. */
export const COMMAND: readonly string[] =
  process.env['TARGET'] === 'binary'
    ? [join(ROOT, 'dist/quota-proxy')]
    : [process.execPath, join(ROOT, 'src/main.ts')]

/** Room enough on a busy machine; a start that takes longer has failed. */
const START_MS_MAX = 15_000

export type TestServer = {
  /** Where clients call it. */
  readonly url: string
  /** Where it listens itself: the same, unless another server is in between. */
  readonly directUrl: string
  readonly adminToken: string
  readonly dataDir: string
  /** The file of its database, or its URL; `:memory:` has neither. */
  readonly database: string
  readonly pid: number
  /** Everything written to stdout and stderr so far. */
  logs(): string
  /** Log lines as objects, newest last. */
  events(): Record<string, unknown>[]
  /** Sends a signal and resolves with the exit code. */
  stop(signal?: NodeJS.Signals): Promise<number>
  /** A request with the admin token; a plain object goes as JSON. */
  admin(method: string, path: string, body?: unknown): Promise<Response>
  /** A call of `POST /proxy`. */
  call(key: string, envelope: unknown, init?: RequestInit): Promise<Response>
}

const running = new Set<Subprocess>()
const closers = new Set<() => unknown>()
const directories = new Set<string>()

/**
 * Ends everything that the run has started. For the preload only, whose hook comes after the last file: any other hook
 * of bun:test belongs to whichever file or test runs when it is registered.
 */
export async function endRun(): Promise<void> {
  await Promise.all([...closers].map((close) => close()))
  for (const child of running) child.kill('SIGKILL')
  await Promise.all([...running].map((child) => child.exited))
  for (const directory of directories) rmSync(directory, { recursive: true, force: true })
}

let fileOfRunning = ''

/** Those of a file that has ended are of no use, and a hundred of them would take time from the next. */
async function endServersOfOtherFiles(): Promise<void> {
  if (fileOfRunning === Bun.main) return
  fileOfRunning = Bun.main
  const ended = [...running]
  for (const child of ended) child.kill('SIGKILL')
  await Promise.all(ended.map((child) => child.exited))
}

/** For what several files of a run share. */
export function closeWithRun(close: () => unknown): void {
  closers.add(close)
}

export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'quota-proxy-'))
  directories.add(directory)
  return directory
}

/** Pass the `dataDir` of a server before to start again on its data, or a command that runs the server (`wrapper`). */
export async function startServer(
  env: Record<string, string> = {},
  dataDir = join(temporaryDirectory(), 'data'),
  wrapper: readonly string[] = [],
): Promise<TestServer> {
  await endServersOfOtherFiles()
  const here = await serverEnv(env, dataDir)
  const child = Bun.spawn([...wrapper, ...COMMAND, 'serve'], {
    env: {
      PATH: process.env['PATH'] ?? '',
      TZ: 'UTC',
      // As the binary is built.
      NODE_ENV: 'production',
      HOST: '127.0.0.1',
      PORT: '0',
      DATA_DIR: dataDir,
      LOG_FORMAT: 'json',
      ...(process.env['FRONT'] && { TRUSTED_PROXIES: '127.0.0.1' }),
      ...here,
      ...env,
    },
    // Nothing of the repository may be needed.
    cwd: temporaryDirectory(),
    stdout: 'pipe',
    stderr: 'pipe',
  })
  running.add(child)
  void child.exited.then(() => running.delete(child))
  let text = ''
  const collect = async (stream: ReadableStream<Uint8Array>) => {
    const decoder = new TextDecoder()
    for await (const chunk of stream) text += decoder.decode(chunk, { stream: true })
  }
  const collected = [collect(child.stdout), collect(child.stderr)]

  const directUrl = await listening(child, () => text)
  const url = process.env['FRONT'] ? await frontUrl(directUrl) : directUrl
  const tokenFile = env['ADMIN_TOKEN_FILE'] ?? join(dataDir, 'admin-token')
  const adminToken = env['ADMIN_TOKEN'] ?? readFileSync(tokenFile, 'utf8').trim()
  const events = () =>
    text
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line) as Record<string, unknown>)
  return {
    url,
    directUrl,
    adminToken,
    dataDir,
    database: databaseOf({ ...here, ...env }, dataDir),
    pid: child.pid,
    logs: () => text,
    events,
    async stop(signal = 'SIGTERM') {
      child.kill(signal)
      const exitCode = await child.exited
      await Promise.all(collected)
      return exitCode
    },
    admin: (method, path, body) =>
      fetch(directUrl + path, {
        method,
        headers: {
          authorization: `Bearer ${adminToken}`,
          ...(body !== undefined && { 'content-type': 'application/json' }),
        },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      }),
    call: (key, envelope, init) =>
      fetch(`${url}/proxy`, {
        method: 'POST',
        headers: { 'x-api-key': key, 'content-type': 'application/json' },
        body: JSON.stringify(envelope),
        ...init,
      }),
  }
}

function databaseOf(env: Readonly<Record<string, string>>, dataDir: string): string {
  return env['DATABASE_URL']?.replace(/^file:/, '') ?? join(dataDir, 'quota.db')
}

/** Loaded only if it is wanted, since it needs this file. */
async function frontUrl(target: string): Promise<string> {
  const { startFront } = await import('./front.ts')
  return (await startFront(target)).url
}

async function listening(child: Subprocess, logs: () => string): Promise<string> {
  const deadline = performance.now() + START_MS_MAX
  while (performance.now() < deadline) {
    const url = /"url":"(http[^"]+)\/"/.exec(logs())?.[1]
    if (url) return url
    if (child.exitCode !== null) break
    await Bun.sleep(10)
  }
  throw new Error(`quota-proxy did not start:\n${logs()}`)
}

/** Issues a key and returns its secret and its id. */
export async function issueKey(
  server: TestServer,
  fields: Record<string, unknown> = {},
): Promise<{ key: string; id: string }> {
  const response = await server.admin('POST', '/admin/keys', {
    name: 'test',
    quota: 1000,
    ...fields,
  })
  if (response.status !== 201) throw new Error(`no key was issued: ${await response.text()}`)
  return (await response.json()) as { key: string; id: string }
}
