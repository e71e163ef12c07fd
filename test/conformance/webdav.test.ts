/** litmus, the test suite of WebDAV (RFC 4918): through the proxy, Apache passes what it passes without. */
import { expect, test } from 'bun:test'
import { startKeyHop } from '../support/key-hop.ts'
import { addUpstream } from '../support/named-upstream.ts'
import { issueKey, startServer, temporaryDirectory } from '../support/server.ts'
import { startWebDavServer } from '../support/webdav-server.ts'

const PROGRAMS = ['litmus', 'apache2']
const PATH = `${process.env['PATH']}:/usr/sbin`
const missing = PROGRAMS.filter((name) => Bun.which(name, { PATH }) === null)
const isRun = missing.length === 0 || process.env['CI'] !== undefined

test.skipIf(!isRun)(
  `WebDAV works as without the proxy (needs ${PROGRAMS.join(', ')})`,
  async () => {
    const { url } = await startWebDavServer()
    const direct = await litmus(url)
    expect(direct.filter((line) => !line.endsWith(' pass'))).toEqual([])
    expect(direct.length).toBe(104)

    const server = await startServer()
    const { key } = await issueKey(server, { quota: null })
    const hop = await startKeyHop(server.url, key)
    const fields = { base_url: url, rewrite_urls: true, meter: { kind: 'none' } }
    await addUpstream(server, { ...fields, name: 'same', mount: '/dav' })
    await addUpstream(server, { ...fields, name: 'other', mount: '/files' })
    expect(await litmus(`${hop.url}/dav`)).toEqual(direct)
    // A PROPFIND is answered with paths in a body, which no setting changes: they are the upstream's own.
    const withoutBodies = (lines: string[]) =>
      lines.filter((line) => !line.startsWith('props propfind_d0 '))
    expect(withoutBodies(await litmus(`${hop.url}/files`))).toEqual(withoutBodies(direct))
  },
  60_000,
)

/** The suite, name and end of each test, warnings left out. */
async function litmus(url: string): Promise<string[]> {
  const child = Bun.spawn(['litmus', '--keep-going', `${url}/`], {
    // It writes its traces there.
    cwd: temporaryDirectory(),
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [text] = await Promise.all([child.stdout.text(), child.exited])
  let suite = ''
  let name = ''
  const results: string[] = []
  // It writes each line anew when the test has ended, and a warning stands between its name and its end.
  for (const line of text.split(/[\r\n]+/)) {
    suite = /^-> running `(\w+)'/.exec(line)?.[1] ?? suite
    name = /^ *\d+\. (\w+)/.exec(line)?.[1] ?? name
    const end = / (pass|FAIL.*|SKIPPED.*)(?: \(with .*)?$/.exec(line)?.[1]
    if (end) results.push(`${suite} ${name} ${end}`)
  }
  return results
}
