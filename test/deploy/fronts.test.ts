/**
 * The suites of the proxy, with a real Caddy, nginx or HAProxy between the clients and the server, over HTTPS: what holds
 * of quota-proxy holds of it behind the files in deploy/, but for what `EXCEPTIONS` names. Needs the Debian packages
 * `caddy`, `nginx-light`, `haproxy`, `curl` and `openssl`. Without the first three it is skipped, but never in CI.
 */
import { beforeAll, expect, test } from 'bun:test'
import { join, resolve } from 'node:path'
import { createAuthority } from '../support/certificate.ts'
import { runCommand } from '../support/command.ts'
import { FRONTS, type FrontKind } from '../support/front.ts'
import { temporaryDirectory } from '../support/server.ts'

const ROOT = resolve(import.meta.dir, '../..')
const PATH = `${process.env['PATH']}:/usr/sbin`

/**
 * Not `authentication`, `scopes` and `canaries`, which play the server in front themselves, send what one refuses or go to
 * the operator's routes; nor `big-streams`, whose gibibytes take too long; nor those whose clients are programs of others,
 * or whose matter is what happens behind the proxy.
 */
const WIRE = ['forwarding', 'passing', 'streaming', 'websocket']

/** What quota-proxy does by itself with a request that has arrived as it was sent: one front is enough for that. */
const OWN = ['ways', 'envelope', 'quota-headers', 'failures']

const SUITES: Readonly<Record<FrontKind, readonly string[]>> = {
  caddy: WIRE,
  nginx: [...WIRE, ...OWN],
  haproxy: WIRE,
}

type Exception = { readonly name: string; readonly why: string }

const BOTH: readonly Exception[] = [
  {
    name: 'keeps its end-to-end headers and loses',
    why: 'it takes no other header than ours; behind-front.ts compares all of them',
  },
  {
    name: 'that its client does not read is not read',
    why: 'its client may read on for a while where TLS is; that of behind-front.ts does not',
  },
]

const EXCEPTIONS: Readonly<Record<FrontKind, readonly Exception[]>> = {
  caddy: [
    ...BOTH,
    { name: 'end-to-end headers arrive: repeated', why: '`Server` names Caddy as well' },
    { name: 'path and query arrive as they were spelled', why: '`|` becomes `%7C`, the same URL' },
    // It answers a client only while that sends: whoever sends what it has announced has the same answer.
    { name: 'that announces more than the limit', why: 'the client sends nothing of it' },
    { name: 'that turns out larger than the limit', why: 'the client does not end its body' },
    { name: 'that does not arrive in time is a 408', why: 'the client does not end its body' },
    // Caddy 2.6, which Debian has, ends such an answer as if it were whole. 2.10.2 does not: see docs/https.md.
    { name: 'looks cut off to the client', why: 'Caddy 2.6' },
    { name: 'for the whole call cuts an answer', why: 'Caddy 2.6' },
    { name: 'for silence cuts a silent answer', why: 'Caddy 2.6' },
  ],
  nginx: [
    ...BOTH,
    {
      name: 'a path that hides a step upwards is refused',
      why: '`/%zz` is no URL: a 400 of nginx',
    },
    {
      name: 'headers of a request that belong to the connection',
      why: 'nginx passes on what Connection names; it goes no further than to us, as an ordinary field',
    },
  ],
  haproxy: [
    {
      name: 'that only looks like a handshake',
      why: 'HAProxy refuses one without a proper key with 400',
    },
  ],
}

const missing = FRONTS.filter((kind) => !Bun.which(kind, { PATH }))
const isRun = missing.length === 0 || process.env['CI'] !== undefined

/** Each front needs half a minute, most of it waiting; all run at once. */
const TEST_MS_MAX = 240_000

/** A server and one in front of it take longer to start than the five seconds of a hook. */
const HOOK_MS = '60000'

type Ran = { readonly passed: number; readonly failed: number; readonly said: string }
const ran = new Map<FrontKind, Promise<Ran>>()

beforeAll(async () => {
  if (!isRun) return
  const directory = temporaryDirectory()
  const authority = await createAuthority()
  const { cert, key } = await authority.issue('DNS:localhost')
  const env = {
    ...authority.env,
    CURL_CA_BUNDLE: authority.env.NODE_EXTRA_CA_CERTS,
    FRONT_CERT_FILE: join(directory, 'cert.pem'),
    FRONT_KEY_FILE: join(directory, 'key.pem'),
    ...(process.env['TARGET'] && { TARGET: process.env['TARGET'] }),
    PATH,
  }
  await Bun.write(env.FRONT_CERT_FILE, cert)
  await Bun.write(env.FRONT_KEY_FILE, key)
  for (const kind of FRONTS) ran.set(kind, runSuites(kind, env))
})

async function runSuites(kind: FrontKind, env: Record<string, string>): Promise<Ran> {
  const files = SUITES[kind].map((name) => `./test/proxy/${name}.test.ts`)
  const escaped = EXCEPTIONS[kind].map(({ name }) => name.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
  const { out, err } = await runCommand(
    [
      ...[process.execPath, 'test', `--timeout=${HOOK_MS}`, '-t', `^(?!.*(${escaped.join('|')}))`],
      ...['./test/deploy/behind-front.ts', ...files],
    ],
    { ...env, FRONT: kind, NO_COLOR: '1' },
    ROOT,
  )
  const count = (word: string) => Number(new RegExp(`^ *(\\d+) ${word}$`, 'm').exec(err)?.[1] ?? 0)
  return { passed: count('pass'), failed: count('fail'), said: out + err }
}

for (const kind of FRONTS) {
  const run = async () => {
    const { passed, failed, said } = await (ran.get(kind) ?? Promise.reject(new Error('not run')))
    const failures = said.split('\n').filter((line) => /^(\(fail\)|error:)/.test(line))
    expect({ failed, failures }).toEqual({ failed: 0, failures: [] })
    // Far less would mean that most were not found.
    expect(passed).toBeGreaterThan(20 * SUITES[kind].length)
  }
  if (isRun) test(`behind ${kind} the suites of the proxy pass`, run, TEST_MS_MAX)
  else test.skip(`behind ${kind} (install the Debian packages ${missing.join(', ')})`, run)
}
