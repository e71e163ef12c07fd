/** HAProxy as a plain proxy, with one thread. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { BODY, PATH } from '../load/traffic.ts'
import { freeAddress } from '../workspace.ts'
import { findServer, type Peer, versionOf } from './peer.ts'

export const haproxy: Peer = {
  name: 'HAProxy',
  note: 'Passes calls on: no keys, no counting, no log here.',
  async start({ workspace, upstream }) {
    const binary = findServer('haproxy')
    if (binary === null)
      return { ok: false, reason: 'HAProxy is not installed (`apt-get install haproxy`).' }
    const { port, url } = freeAddress()
    const file = join(workspace.directory, 'haproxy.cfg')
    writeFileSync(file, config(port, new URL(upstream.url).host))
    const server = await workspace.serve('haproxy', url, [binary, '-db', '-f', file])
    const label = `HAProxy ${versionOf([binary, '-v'], /version (\d[\d.]*)/)}`
    return { ok: true, label, server, traffic: { path: PATH, body: BODY } }
  },
}

function config(port: number, upstream: string): string {
  return `global
  nbthread 1
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  http-reuse always
frontend in
  bind 127.0.0.1:${port}
  default_backend out
backend out
  server upstream ${upstream}
`
}
