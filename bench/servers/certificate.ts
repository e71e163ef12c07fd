/** A certificate that signs itself, made anew for each run. Needs `openssl`. */
import { join } from 'node:path'
import type { Workspace } from '../workspace.ts'

export type Certificate = {
  readonly host: string
  readonly keyFile: string
  /** Also the only authority that has to be trusted. */
  readonly certFile: string
}

const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
/** A run takes less than an hour. */
const DAYS = '2'
const SECONDS_MAX = 30

export async function createCertificate(workspace: Workspace): Promise<Certificate> {
  const host = 'localhost'
  const keyFile = join(workspace.directory, 'tls.key')
  const certFile = join(workspace.directory, 'tls.pem')
  const files = ['-keyout', keyFile, '-out', certFile]
  const names = ['-subj', `/CN=${host}`, '-addext', `subjectAltName=DNS:${host}`]
  const command = ['openssl', 'req', '-x509', '-days', DAYS, ...NEW_KEY, ...names, ...files]
  await workspace.run('certificate', command, SECONDS_MAX)
  return { host, keyFile, certFile }
}
