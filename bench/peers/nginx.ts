/** nginx as a plain proxy, and with a quota in the memory that its workers share. */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { BODY, PATH } from '../load/traffic.ts'
import { freeAddress, type Server } from '../workspace.ts'
import { findServer, type Peer, type PeerSetup, versionOf } from './peer.ts'

const MISSING = 'nginx is not installed (`apt-get install nginx-light`).'
const MISSING_LUA = 'Its module for Lua is not installed (`apt-get install libnginx-mod-http-lua`).'

const MODULES = ['ndk_http_module.so', 'ngx_http_lua_module.so']

/** As much as the keys of quota-proxy have: what is measured is calls that are let through. */
const QUOTA = 1e12
/** A key with a quota of one call, which proves before the measurement that the counter refuses. */
const PROBE = 'a-key-with-one-call'

export const nginx: Peer = {
  name: 'nginx',
  note: 'Passes calls on: no keys, no counting, no log here.',
  async start(setup) {
    const binary = findServer('nginx')
    if (binary === null) return { ok: false, reason: MISSING }
    const server = await serve(setup, 'nginx', binary, { main: '', http: '', location: '' })
    return {
      ok: true,
      label: `nginx ${version(binary)}`,
      server,
      traffic: { path: PATH, body: BODY },
    }
  },
}

export const nginxLua: Peer = {
  name: 'nginx, counter in Lua',
  note: 'Looks a key up, counts and refuses, all in memory: a restart forgets it; no tokens, no refunds, no ledger, no log here.',
  async start(setup) {
    const binary = findServer('nginx')
    if (binary === null) return { ok: false, reason: MISSING }
    const modules = MODULES.map((file) => join(modulesDirectory(binary), file))
    if (!modules.every((file) => existsSync(file))) return { ok: false, reason: MISSING_LUA }
    const server = await serve(setup, 'nginx-lua', binary, {
      main: modules.map((file) => `load_module ${file};`).join('\n'),
      http: sharedQuota(setup.keysFile),
      location: CHARGE,
    })
    await proveRefusal(server)
    const traffic = { path: PATH, body: BODY, keysFile: setup.keysFile }
    return { ok: true, label: `nginx ${version(binary)}, counter in Lua`, server, traffic }
  },
}

function version(binary: string): string {
  return versionOf([binary, '-v'], /nginx\/(\S+)/)
}

function modulesDirectory(binary: string): string {
  return versionOf([binary, '-V'], /--modules-path=(\S+)/)
}

function sharedQuota(keysFile: string): string {
  return `lua_shared_dict quota 10m;
  init_by_lua_block {
    local quota = ngx.shared.quota
    for key in io.lines("${keysFile}") do quota:set(key, ${QUOTA}) end
    quota:set("${PROBE}", 1)
  }`
}

const CHARGE = `access_by_lua_block {
        local quota = ngx.shared.quota
        local key = ngx.var.http_x_api_key
        local left = key and quota:incr(key, -1)
        if not left then return ngx.exit(401) end
        if left < 0 then
          quota:incr(key, 1)
          return ngx.exit(429)
        end
        ngx.header["X-Quota-Remaining"] = left
      }`

async function proveRefusal({ url }: Server): Promise<void> {
  const statuses: number[] = []
  for (const key of [PROBE, PROBE, 'no-such-key']) {
    const headers = { 'x-api-key': key }
    const response = await fetch(url + PATH, { method: 'POST', headers, body: BODY })
    await response.arrayBuffer()
    statuses.push(response.status)
  }
  if (statuses.join() !== '200,429,401') throw new Error(`its counter answered ${statuses.join()}`)
}

type Additions = { readonly main: string; readonly http: string; readonly location: string }

function serve(
  { workspace, upstream }: PeerSetup,
  name: string,
  binary: string,
  additions: Additions,
): Promise<Server> {
  const { port, url } = freeAddress()
  const directory = join(workspace.directory, name)
  mkdirSync(directory)
  const file = join(directory, 'nginx.conf')
  writeFileSync(file, config(directory, port, new URL(upstream.url).host, additions))
  return workspace.serve(name, url, [binary, '-e', 'stderr', '-c', file])
}

function config(
  directory: string,
  port: number,
  upstream: string,
  { main, http, location }: Additions,
): string {
  const temp = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((kind) => `  ${kind}_temp_path ${directory}/${kind};`)
    .join('\n')
  // A worker that is started by root changes to a user who may not enter the directory.
  const user = process.getuid?.() === 0 ? 'user root;\n' : ''
  return `${main}
${user}daemon off;
worker_processes 1;
pid ${directory}/nginx.pid;
error_log stderr;
events { worker_connections 1024; }
http {
  access_log off;
${temp}
  ${http}
  upstream backend {
    server ${upstream};
    keepalive 64;
    keepalive_requests 1000000000;
  }
  server {
    listen 127.0.0.1:${port};
    keepalive_requests 1000000000;
    location / {
      ${location}
      proxy_pass http://backend;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
    }
  }
}
`
}
