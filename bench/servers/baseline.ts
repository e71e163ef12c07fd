/** How the upstream, the bare proxies and the parts of the data path are started. All of them listen on loopback only. */
import { join } from 'node:path'
import { freeAddress, type Server, type Workspace } from '../workspace.ts'
import type { Certificate } from './certificate.ts'
import type { Stage } from './stages.ts'

export function startUpstream(workspace: Workspace): Promise<Server> {
  const { port, url } = freeAddress()
  const script = join(import.meta.dir, 'upstream.ts')
  return workspace.serve('upstream', url, [process.execPath, script, String(port)])
}

/** The same answers over TLS, under the name that the certificate is for. */
export async function startTlsUpstream(
  workspace: Workspace,
  { host, keyFile, certFile }: Certificate,
): Promise<Server> {
  const { port } = freeAddress()
  const url = `https://${host}:${port}`
  const script = join(import.meta.dir, 'upstream.ts')
  const command = [process.execPath, script, String(port), keyFile, certFile]
  return workspace.serve('tls-upstream', url, command, {}, { ca: certFile })
}

export function startBareProxy(
  workspace: Workspace,
  upstream: Server,
  variant: 'stream' | 'read-first',
): Promise<Server> {
  const { port, url } = freeAddress()
  const script = join(import.meta.dir, 'bare-proxy.ts')
  const command = [process.execPath, script, String(port), upstream.url, variant]
  return workspace.serve(`bare-proxy-${variant}`, url, command)
}

/** A part of the data path, from the source. */
export function startStage(workspace: Workspace, upstream: Server, stage: Stage): Promise<Server> {
  const { port, url } = freeAddress()
  const script = join(import.meta.dir, 'stage-server.ts')
  const directory = join(workspace.directory, `stage-${stage}`)
  const command = [process.execPath, script, String(port), upstream.url, stage, directory]
  return workspace.serve(`stage-${stage}`, url, command, { NODE_ENV: 'production' })
}
