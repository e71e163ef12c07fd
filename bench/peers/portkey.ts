/** Portkey's gateway, from npm into the directory of the run. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { BODY, PATH } from '../load/traffic.ts'
import { freeAddress } from '../workspace.ts'
import { NOT_ASKED, type Peer } from './peer.ts'

/** One that was seen to work. */
const VERSION = '1.15.2'
/** It takes some seconds. */
const INSTALL_S_MAX = 300

/** It has no option for the address; the benchmark listens on loopback only. */
const ON_LOOPBACK = `import { Server } from 'node:net'
const { listen } = Server.prototype
Server.prototype.listen = function (port, ...rest) {
  return listen.call(this, port, '127.0.0.1', rest.findLast((one) => typeof one === 'function'))
}`

export const portkey: Peer = {
  name: 'Portkey',
  note: 'Routes among providers and rewrites requests and answers; without its hosted service no keys, no counting, no ledger.',
  async start({ workspace, upstream, install, say }) {
    if (!install) return { ok: false, reason: NOT_ASKED }
    const [npm, node] = [Bun.which('npm'), Bun.which('node')]
    if (npm === null || node === null) return { ok: false, reason: 'It needs Node with npm.' }
    const directory = join(workspace.directory, 'portkey')
    mkdirSync(directory)
    say(`installing Portkey ${VERSION} from npm, for at most ${INSTALL_S_MAX} s`)
    const quiet = ['--no-audit', '--no-fund', '--ignore-scripts', '--prefix', directory]
    const command = [npm, 'install', ...quiet, `@portkey-ai/gateway@${VERSION}`]
    await workspace.run('portkey-install', command, INSTALL_S_MAX)

    const { port, url } = freeAddress()
    const script = join(directory, 'node_modules/@portkey-ai/gateway/build/start-server.js')
    const loopback = ['--import', `data:text/javascript,${encodeURIComponent(ON_LOOPBACK)}`]
    const server = await workspace.serve(
      'portkey',
      url,
      [node, ...loopback, script, `--port=${port}`, '--headless'],
      { NODE_ENV: 'production' },
    )
    const headers = {
      'x-portkey-provider': 'openai',
      'x-portkey-custom-host': `${upstream.url}/v1`,
      authorization: 'Bearer sk-bench',
    }
    const label = `Portkey ${VERSION}`
    return { ok: true, label, server, traffic: { path: PATH, body: BODY, headers } }
  },
}
