/** How each server of the comparison is started. All of them listen on loopback only. */
import { writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { Stage } from './stages.ts'
import { freePort, type Server, type Workspace } from '../workspace.ts'

export const BINARY = resolve(import.meta.dir, '../dist/quota-proxy')

/** Debian keeps nginx where only root's PATH looks. */
export function findNginx(): string | null {
  return Bun.which('nginx') ?? Bun.which('nginx', { PATH: '/usr/sbin:/usr/local/sbin' })
}

export function startUpstream(workspace: Workspace): Promise<Server> {
  const { port, url } = address()
  const script = join(import.meta.dir, 'upstream.ts')
  return workspace.serve('upstream', url, [process.execPath, script, String(port)])
}

export function startBareProxy(
  workspace: Workspace,
  upstream: Server,
  variant: 'stream' | 'read-first',
): Promise<Server> {
  const { port, url } = address()
  const script = join(import.meta.dir, 'bare-proxy.ts')
  const command = [process.execPath, script, String(port), upstream.url, variant]
  return workspace.serve(`bare-proxy-${variant}`, url, command)
}

/** A part of the data path, from the source. */
export function startStage(workspace: Workspace, upstream: Server, stage: Stage): Promise<Server> {
  const { port, url } = address()
  const script = join(import.meta.dir, 'stage-server.ts')
  const directory = join(workspace.directory, `stage-${stage}`)
  const command = [process.execPath, script, String(port), upstream.url, stage, directory]
  return workspace.serve(`stage-${stage}`, url, command, { NODE_ENV: 'production' })
}

export function startNginx(workspace: Workspace, upstream: Server): Promise<Server> {
  const { port, url } = address()
  const file = join(workspace.directory, 'nginx.conf')
  writeFileSync(file, nginxConfig(workspace.directory, port, new URL(upstream.url).host))
  const command = [findNginx() ?? 'nginx', '-e', 'stderr', '-c', file]
  return workspace.serve('nginx', url, command)
}

/** The compiled binary with everything that is on by default; its log goes to a file. */
export function startQuotaProxy(
  workspace: Workspace,
  name: string,
  upstream: Server,
  env: Readonly<Record<string, string>>,
): Promise<Server> {
  const { port, url } = address()
  return workspace.serve(`quota-proxy-${name}`, url, [BINARY, 'serve'], {
    HOST: '127.0.0.1',
    PORT: String(port),
    LOG_FORMAT: 'json',
    PROXY_EGRESS_ALLOW: new URL(upstream.url).host,
    ...env,
  })
}

function address(): { port: number; url: string } {
  const port = freePort()
  return { port, url: `http://127.0.0.1:${port}` }
}

function nginxConfig(directory: string, port: number, upstream: string): string {
  const temp = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((kind) => `  ${kind}_temp_path ${directory}/nginx-${kind};`)
    .join('\n')
  // A worker that is started by root changes to a user who may not enter the directory.
  const user = process.getuid?.() === 0 ? 'user root;\n' : ''
  return `${user}daemon off;
worker_processes 1;
pid ${directory}/nginx.pid;
error_log stderr;
events { worker_connections 1024; }
http {
  access_log off;
${temp}
  upstream backend {
    server ${upstream};
    keepalive 64;
    keepalive_requests 1000000000;
  }
  server {
    listen 127.0.0.1:${port};
    keepalive_requests 1000000000;
    location / {
      proxy_pass http://backend;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
    }
  }
}
`
}
