/**
 * Connect's conformance suite: what its reference client and its reference server say to each other over HTTP/1.1, in the
 * Connect protocol and in gRPC-Web, streams, cancellations and broken answers among it, passes through the proxy.
 */
import { expect, test } from 'bun:test'
import { writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { startKeyHop } from '../support/key-hop.ts'
import { addUpstream } from '../support/named-upstream.ts'
import { issueKey, startServer, type TestServer, temporaryDirectory } from '../support/server.ts'
import { freePort } from '../support/wire.ts'

const PROGRAMS = ['connectconformance', 'referenceclient', 'referenceserver']
const missing = PROGRAMS.filter((name) => Bun.which(name) === null)
const isRun = missing.length === 0 || process.env['CI'] !== undefined

const PEERS = [process.execPath, resolve(import.meta.dir, '../support/connect-peers.ts')]

/**
 * What HTTP/1.1 can carry: gRPC itself and full-duplex streams need HTTP/2. Of the six compressions two, as no body is
 * ever unpacked on its way: all six make three times as many cases, of which none ends in another way.
 */
const FEATURES = `features:
  versions: [HTTP_VERSION_1]
  protocols: [PROTOCOL_CONNECT, PROTOCOL_GRPC_WEB]
  codecs: [CODEC_PROTO, CODEC_JSON]
  compressions: [COMPRESSION_IDENTITY, COMPRESSION_GZIP]
  supports_tls: false
  supports_half_duplex_bidi_over_http1: true
`

/** Status 800: RFC 9110 section 15 ends at 599, and the answer is a 502 in its place. */
const NOT_PASSED = '**/nonexistent-http-status-code'

const needs = `(needs ${PROGRAMS.join(', ')})`

test.skipIf(!isRun)(
  `a Connect server conforms as without the proxy ${needs}`,
  async () => {
    const { server, key } = await startProxy()
    const environment = {
      PROXY_URL: server.url,
      PROXY_ADMIN_TOKEN: server.adminToken,
      PROXY_KEY: key,
    }
    expect(await conformance(['--mode', 'server', '--', ...PEERS, 'server'], environment)).toEqual({
      failed: [],
      totals: '694 passed, 0 failed',
    })
  },
  120_000,
)

test.skipIf(!isRun)(
  `a Connect client conforms as without the proxy ${needs}`,
  async () => {
    const { server, key } = await startProxy()
    // The runner is the server, one after the other at this port.
    const port = await freePort()
    await addUpstream(server, {
      ...{ name: 'runner', base_url: `http://127.0.0.1:${port}`, meter: { kind: 'none' } },
    })
    const hop = await startKeyHop(server.url, key, '/u/runner')
    const args = [
      '--mode',
      'client',
      '--port',
      String(port),
      '--known-failing',
      NOT_PASSED,
      '--',
      ...PEERS,
      'client',
    ]
    expect(await conformance([...args, String(hop.port)])).toEqual({
      failed: [],
      totals: '973 passed, 0 failed',
    })
  },
  120_000,
)

async function startProxy(): Promise<{ server: TestServer; key: string }> {
  const server = await startServer()
  const { key } = await issueKey(server, { quota: null })
  return { server, key }
}

/** The cases that failed, and the runner's last line. */
async function conformance(args: readonly string[], environment: Record<string, string> = {}) {
  const features = join(temporaryDirectory(), 'features.yaml')
  writeFileSync(features, FEATURES)
  const child = Bun.spawn(['connectconformance', '--conf', features, ...args], {
    env: { ...process.env, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const [out, err] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited])
  const lines = `${out}\n${err}`.split('\n')
  return {
    failed: lines.filter((line) => line.startsWith('FAILED: ')),
    totals:
      lines.findLast((line) => /^\d+ passed, \d+ failed/.test(line)) ?? lines.slice(-20).join('\n'),
  }
}
