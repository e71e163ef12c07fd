/** Caddy as a plain proxy, on one processor. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { BODY, PATH } from '../load/traffic.ts'
import { freeAddress } from '../workspace.ts'
import { findServer, type Peer, versionOf } from './peer.ts'

export const caddy: Peer = {
  name: 'Caddy',
  note: 'Passes calls on: no keys, no counting, no log here.',
  async start({ workspace, upstream }) {
    const binary = findServer('caddy')
    if (binary === null)
      return { ok: false, reason: 'Caddy is not installed (`apt-get install caddy`).' }
    const { port, url } = freeAddress()
    const directory = join(workspace.directory, 'caddy')
    mkdirSync(directory)
    const file = join(directory, 'Caddyfile')
    writeFileSync(file, config(port, new URL(upstream.url).host))
    const command = [binary, 'run', '--config', file, '--adapter', 'caddyfile']
    // One worker, as all have here; what it keeps goes with the run.
    const env = { GOMAXPROCS: '1', HOME: directory }
    const server = await workspace.serve('caddy', url, command, env)
    const label = `Caddy ${versionOf([binary, 'version'], /v?(\d[\d.]*)/)}`
    return { ok: true, label, server, traffic: { path: PATH, body: BODY } }
  },
}

/** Without the number of connections it would close most of them after each call. */
function config(port: number, upstream: string): string {
  return `{
  admin off
  auto_https off
}
http://127.0.0.1:${port} {
  bind 127.0.0.1
  reverse_proxy ${upstream} {
    transport http {
      keepalive_idle_conns_per_host 64
    }
  }
}
`
}
