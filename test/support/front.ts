/**
 * A real Caddy, HAProxy or nginx in front of a server of the tests, run as Debian packages it, on the file that deploy/ ships.
 * Only what a test must not share with its machine is replaced in that file: ports, the domain, and the certificate.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { Subprocess } from 'bun'
import { closeWithRun, temporaryDirectory } from './server.ts'

const DEPLOY = resolve(import.meta.dir, '../../deploy')

export const FRONTS = ['caddy', 'nginx', 'haproxy'] as const
export type FrontKind = (typeof FRONTS)[number]

export type Certificate = { readonly certFile: string; readonly keyFile: string }

export type Front = {
  /** With https. */
  readonly url: string
  /** Where it only sends clients on to https. */
  readonly plainUrl: string
  readonly pid: number
}

/** Any name, as tests write what they like into Host. For `localhost` Caddy would make an authority of its own. */
const DOMAIN = 'https://'

/** Room enough on a busy machine; a start that takes longer has failed. */
const START_MS_MAX = 15_000

const running = new Set<Subprocess>()
closeWithRun(async () => {
  // SIGTERM: killed in any other way, nginx would leave its workers behind.
  for (const child of running) child.kill('SIGTERM')
  await Promise.all([...running].map((child) => child.exited))
})

/**
 * In front of a server at `target`, or of several; what it is, and its certificate for `localhost`, says the environment.
 * `edit` is what an operator changes in the shipped file.
 */
export async function startFront(
  target: string | readonly string[],
  kind = fromEnvironment('FRONT') as FrontKind,
  certificate: Certificate = {
    certFile: fromEnvironment('FRONT_CERT_FILE'),
    keyFile: fromEnvironment('FRONT_KEY_FILE'),
  },
  edit = (shipped: string) => shipped,
): Promise<Front> {
  const directory = temporaryDirectory()
  const ports = { http: takePort(), https: takePort() }
  const hosts = [target].flat().map((url) => new URL(url).host)
  const place = { directory, ports, certificate, target: hosts.join(' '), edit }
  const child = Bun.spawn(COMMANDS[kind](place), {
    cwd: directory,
    env: { PATH: `${process.env['PATH']}:/usr/sbin`, HOME: directory, DOMAIN },
    stdin: 'ignore',
    stdout: 'ignore',
    stderr: Bun.file(join(directory, 'errors')),
  })
  running.add(child)
  void child.exited.then(() => running.delete(child))
  await listening(ports.https, child, directory)
  return {
    url: `https://localhost:${ports.https}`,
    plainUrl: `http://localhost:${ports.http}`,
    pid: child.pid,
  }
}

/** Below those that the kernel gives out: a test may hold on to one of these as a port where nobody listens. */
function takePort(): number {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 12_000)
    try {
      Bun.listen({ hostname: '127.0.0.1', port, socket: { data() {} } }).stop(true)
      return port
    } catch {
      // Somebody listens there.
    }
  }
}

type Place = {
  readonly directory: string
  readonly ports: { readonly http: number; readonly https: number }
  readonly certificate: Certificate
  readonly target: string
  readonly edit: (shipped: string) => string
}

function caddy({ directory, ports, certificate, target, edit }: Place): string[] {
  const file = join(directory, 'Caddyfile')
  const { certFile, keyFile } = certificate
  const shipped = edit(read(join(DEPLOY, 'caddy/Caddyfile')))
  const config = substitute(shipped, [
    // The first block is of all sites. Its control port is one for the machine, and so is the store of trusted authorities.
    [
      '\n{\n',
      `\n{\n${['admin off', 'skip_install_trust', `http_port ${ports.http}`, `https_port ${ports.https}`].join('\n')}\n`,
    ],
    ['{$DOMAIN} {\n', `{$DOMAIN} {\nbind 127.0.0.1\ntls ${certFile} ${keyFile}\n`],
    ['{$QUOTA_PROXY:127.0.0.1:8787}', target],
  ])
  writeFileSync(file, config)
  return ['caddy', 'run', '--adapter', 'caddyfile', '--config', file]
}

function nginx({ directory, ports, certificate, target, edit }: Place): string[] {
  const file = join(directory, 'nginx.conf')
  const shipped = edit(read(join(DEPLOY, 'nginx/quota-proxy.conf')))
  const config = substitute(shipped, [
    ['listen 80;', `listen 127.0.0.1:${ports.http};`],
    ['listen [::]:80;', ''],
    ['listen 443 ssl http2;', `listen 127.0.0.1:${ports.https} ssl http2;`],
    ['listen [::]:443 ssl http2;', ''],
    ['server 127.0.0.1:8787;', `server ${target};`],
    ['/etc/letsencrypt/live/api.example.org/fullchain.pem', certificate.certFile],
    ['/etc/letsencrypt/live/api.example.org/privkey.pem', certificate.keyFile],
    ['server_name api.example.org;', 'server_name localhost;'],
  ])
  writeFileSync(file, nginxMain(directory, config))
  return ['nginx', '-p', directory, '-e', 'stderr', '-c', file]
}

function haproxy({ directory, ports, certificate, target, edit }: Place): string[] {
  const file = join(directory, 'haproxy.cfg')
  const pair = join(directory, 'pair.pem')
  writeFileSync(pair, [certificate.certFile, certificate.keyFile].map(read).join(''))
  const config = substitute(edit(read(join(DEPLOY, 'haproxy/haproxy.cfg'))), [
    // Who runs the tests may not become anybody else.
    ...['user haproxy', 'group haproxy', 'chroot /var/lib/haproxy'].map(
      (line) => [line, ''] as const,
    ),
    ['bind :80\n', `bind 127.0.0.1:${ports.http}\n`],
    ['bind :::80 v6only', ''],
    ['bind :::443 v6only ssl crt /etc/haproxy/api.example.org.pem alpn h2,http/1.1', ''],
    ['bind :443', `bind 127.0.0.1:${ports.https}`],
    ['/etc/haproxy/api.example.org.pem', pair],
    ['127.0.0.1:8787', target],
    // One name for the machine.
    ['abns@quota_proxy', `abns@quota_proxy_${ports.https}`],
  ])
  writeFileSync(file, config)
  return ['haproxy', '-db', '-f', file]
}

const COMMANDS: Readonly<Record<FrontKind, (place: Place) => string[]>> = { caddy, nginx, haproxy }

/**
 * What stands around it: as in Debian; eager to compress, so that it is seen to be off for us; and with the matcher of
 * regular expressions that gives up first. In one process, as the others would outlive one that is killed.
 */
function nginxMain(directory: string, config: string): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'scgi', 'uwsgi'].map((name) => {
    const path = join(directory, name)
    mkdirSync(path)
    return `${name}_temp_path ${path};`
  })
  return `
    ${process.getuid?.() === 0 ? 'user root;' : ''}
    daemon off; master_process off; pid ${join(directory, 'nginx.pid')}; pcre_jit on;
    events { worker_connections 4096; }
    http {
      ${temporary.join(' ')}
      sendfile on; tcp_nopush on; access_log ${join(directory, 'access.log')};
      gzip on; gzip_proxied any; gzip_types *; gzip_min_length 1;
      ${config}
    }`
}

/** Throws if the shipped file no longer has what is to be replaced. */
function substitute(text: string, changes: readonly (readonly [string, string])[]): string {
  return changes.reduce((all, [from, to]) => {
    if (!all.includes(from)) throw new Error(`not in the shipped file: ${from}`)
    return all.replaceAll(from, to)
  }, text)
}

async function listening(port: number, child: Subprocess, directory: string): Promise<void> {
  const deadline = performance.now() + START_MS_MAX
  while (performance.now() < deadline && child.exitCode === null) {
    const open = Bun.connect({ hostname: '127.0.0.1', port, socket: { data() {} } })
    const socket = await open.catch(() => null)
    socket?.end()
    if (socket) return
    await Bun.sleep(10)
  }
  throw new Error(`no front: ${read(join(directory, 'errors'))}`)
}

function read(path: string): string {
  return readFileSync(path, 'utf8')
}

function fromEnvironment(name: string): string {
  const value = process.env[name]
  if (!value) throw new Error(`${name} is not set; test/deploy/fronts.test.ts sets it`)
  return value
}
