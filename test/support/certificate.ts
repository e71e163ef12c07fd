/** A certificate authority of the tests' own, made anew for each run, and certificates of it. Needs `openssl`. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { runCommand } from './command.ts'
import { temporaryDirectory } from './server.ts'

export type Authority = {
  /** What a server needs in its environment to trust it, beside the authorities that it trusts anyway. */
  readonly env: { readonly NODE_EXTRA_CA_CERTS: string }
  /** A certificate for `names`, such as `DNS:localhost`, and its key. */
  issue(names: string): Promise<{ readonly key: string; readonly cert: string }>
}

const KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2']

export async function createAuthority(): Promise<Authority> {
  const directory = temporaryDirectory()
  const path = (name: string) => join(directory, name)
  const ca = ['-CA', path('ca.pem'), '-CAkey', path('ca.key')]
  await openssl('/CN=Authority of the tests', path('ca'), [])
  let count = 0
  return {
    env: { NODE_EXTRA_CA_CERTS: path('ca.pem') },
    async issue(names) {
      const own = path(`leaf-${count++}`)
      await openssl('/CN=leaf', own, [...ca, '-addext', `subjectAltName=${names}`])
      return { key: readFileSync(`${own}.key`, 'utf8'), cert: readFileSync(`${own}.pem`, 'utf8') }
    },
  }
}

async function openssl(subject: string, path: string, extra: readonly string[]): Promise<void> {
  const files = ['-keyout', `${path}.key`, '-out', `${path}.pem`]
  const { code, err } = await runCommand([
    ...['openssl', 'req', '-x509', '-subj', subject, ...KEY, ...files, ...extra],
  ])
  if (code !== 0) throw new Error(`openssl failed: ${err}`)
}
