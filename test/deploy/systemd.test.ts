/**
 * The service as systemd runs it: what its sandbox takes away is what it can live without, which is tried twice, by the
 * system calls of a server that is called and on a machine that has booted with systemd in charge.
 */
import { beforeAll, describe, expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { OPTIONS } from '../../src/config/options.ts'
import { runCommand } from '../support/command.ts'
import { machineObstacle, runInMachine, type Step } from '../support/machine.ts'
import { debianPackage } from '../support/package.ts'
import { issueKey, startServer, temporaryDirectory } from '../support/server.ts'
import { straceObstacle } from '../support/strace.ts'
import { startUpstream } from '../support/upstream.ts'

const UNIT = resolve(import.meta.dir, '../../deploy/systemd/quota-proxy.service')
const unit = readFileSync(UNIT, 'utf8')
/** Of several replicas on one machine, named after their ports. */
const TEMPLATE = resolve(import.meta.dir, '../../deploy/systemd/quota-proxy@.service')
const template = readFileSync(TEMPLATE, 'utf8')
const isBinary = process.env['TARGET'] === 'binary'

async function ask(...command: string[]): Promise<string> {
  const { code, out, err } = await runCommand(command)
  if (code !== 0) throw new Error(`${command.join(' ')}: ${out}${err}`)
  return out
}

test.skipIf(!Bun.which('systemd-analyze'))('the unit is no more exposed than it says', async () => {
  const said = Number(/`systemd-analyze security` rates this with (\d\.\d)/.exec(unit)?.[1])
  const rating = await ask('systemd-analyze', 'security', '--offline=true', '--no-pager', UNIT)
  const exposure = Number(/Overall exposure level for \S+: (\d+\.\d)/.exec(rating)?.[1])
  expect(said).toBeGreaterThan(0)
  expect(exposure).toBeLessThanOrEqual(said)
})

test('the units wait longer for calls in flight than the server does', () => {
  const graceMs = Number(OPTIONS.shutdownGraceMs.default)
  expect(
    Number.parseInt(lineOf(unit, 'TimeoutStopSec').split('=')[1] ?? '', 10) * 1000,
  ).toBeGreaterThan(graceMs)
  const delayMs = Number(lineOf(template, 'Environment=SHUTDOWN_DELAY_MS').split('=')[2])
  expect(delayMs).toBeGreaterThan(1_000)
  const stopMs = Number.parseInt(lineOf(template, 'TimeoutStopSec').split('=')[1] ?? '', 10) * 1000
  expect(stopMs).toBeGreaterThan(delayMs + graceMs)
})

test('a replica is locked in as the one server is, and stops as it does', () => {
  const sandbox = (text: string) => text.slice(text.indexOf('NoNewPrivileges='))
  expect(sandbox(template)).toBe(sandbox(unit))
  for (const line of ['User', 'UMask', 'StateDirectoryMode', 'LimitNOFILE', 'ExecStart'])
    expect(lineOf(template, line)).toBe(lineOf(unit, line))
})

test('two replicas have nothing in common but their settings', () => {
  const own = ['StateDirectory', 'EnvironmentFile', 'Environment=PORT', 'Environment=DATA_DIR']
  expect(own.filter((line) => !lineOf(template, line).includes('%i'))).toEqual([])
  expect(lineOf(template, 'Environment=CONFIG_FILE')).toBe(lineOf(unit, 'Environment=CONFIG_FILE'))
})

test.skipIf(!Bun.which('systemd-analyze'))('systemd takes every line of the template', async () => {
  const copy = join(temporaryDirectory(), 'quota-proxy@.service')
  // It also looks whether the program is there.
  await Bun.write(copy, template.replaceAll('/usr/bin/quota-proxy', '/bin/true'))
  const { out, err } = await runCommand(['systemd-analyze', 'verify', '--man=no', copy])
  const about = (out + err).split('\n').filter((line) => line.includes('quota-proxy@'))
  expect(about).toEqual([])
})

function lineOf(text: string, start: string): string {
  const line = text.split('\n').find((one) => one.startsWith(`${start}=`))
  if (line === undefined) throw new Error(`no unit has ${start}=`)
  return line
}

const untraceable = isBinary && Bun.which('systemd-analyze') ? straceObstacle() : 'TARGET=binary'
test.skipIf(untraceable !== null)(
  `every system call of a server at work is one that the filter lets through${untraceable ? ` (needs ${untraceable})` : ''}`,
  async () => {
    const file = join(temporaryDirectory(), 'calls')
    const upstream = startUpstream()
    const env = { PROXY_EGRESS_ALLOW: upstream.host }
    const server = await startServer(env, undefined, [
      'strace',
      '-D',
      '-f',
      '-qq',
      '-o',
      file,
      '--',
    ])
    const { key } = await issueKey(server)
    for (let i = 0; i < 50; i++) await (await server.call(key, { endpoint: upstream.url })).text()
    expect((await server.admin('GET', '/admin/doctor')).status).toBe(200)
    process.kill(server.pid, 'SIGHUP')
    await Bun.sleep(200)
    await server.stop()

    const trace = readFileSync(file, 'latin1')
    const used = new Set([...trace.matchAll(/^\d+ +(\w+)\(/gm)].map(([, name = '']) => name))
    expect(used.size).toBeGreaterThan(30)
    const allowed = await filter()
    const refused = [...used].filter((name) => !allowed.has(name) && !AS_ROOT.includes(name))
    expect(refused).toEqual([])
  },
  60_000,
)

/** SQLite gives a file that it makes to the owner of the database, if it may: as root, which these tests may run as. */
const AS_ROOT = ['fchown']

/** What the lines SystemCallFilter= of the unit come to. */
async function filter(): Promise<Set<string>> {
  const sets = new Map<string, string[]>()
  for (const block of (await ask('systemd-analyze', 'syscall-filter', '--no-pager')).split(
    '\n\n',
  )) {
    const [name = '', ...members] = block.trim().split('\n')
    sets.set(
      name.trim(),
      members.map((line) => line.trim()).filter((line) => !line.startsWith('#')),
    )
  }
  const expand = (name: string): string[] =>
    name.startsWith('@') ? (sets.get(name) ?? []).flatMap(expand) : [name]
  const allowed = new Set<string>()
  for (const [, without, names = ''] of unit.matchAll(/^SystemCallFilter=(~?)(.*)$/gm))
    for (const name of names.split(' ').flatMap(expand)) {
      if (without) allowed.delete(name)
      else allowed.add(name)
    }
  return allowed
}

const STEPS = {
  'is installed, enabled and started': `
    dpkg --install /srv/quota-proxy.deb
    ${alive()}
    systemctl is-active quota-proxy
    systemctl is-enabled quota-proxy
    systemd-analyze verify quota-proxy.service`,
  'runs as a user of its own, without any capability, behind the filter of system calls': `
    grep "^Uid:.*\\b$(id -u quota-proxy)\\b" /proc/$(${pid()})/status
    grep -E '^CapBnd:\\s+0+$' /proc/$(${pid()})/status
    grep -E '^NoNewPrivs:\\s+1$' /proc/$(${pid()})/status
    grep -E '^Seccomp:\\s+2$' /proc/$(${pid()})/status`,
  'keeps its settings and its data from other users': `
    test "$(stat -c %U:%G:%a /etc/quota-proxy/quota-proxy.env)" = root:quota-proxy:640
    test "$(stat -c %U:%G:%a /var/lib/quota-proxy)" = quota-proxy:quota-proxy:700
    if runuser -u nobody -- cat /etc/quota-proxy/quota-proxy.env; then exit 1; fi
    if runuser -u nobody -- cat /var/lib/quota-proxy/admin-token; then exit 1; fi`,
  'takes up a changed setting when it is reloaded, and goes on': `
    ${admin('/admin/keys', '{"name":"a","quota":5}')} | grep -o '"key":"[^"]*' | cut -d '"' -f 4 >/srv/key
    ${call()} | grep target_not_allowed
    before=$(${pid()})
    echo PROXY_EGRESS_ALLOW=127.0.0.1:8787 >>/etc/quota-proxy/quota-proxy.env
    systemctl reload quota-proxy
    sleep 0.5
    ${call()} | grep '{"ok":true}'
    test "$(${pid()})" = "$before"`,
  'comes back after a crash, with every charge': `
    before=$(${pid()})
    kill -9 $before
    sleep 1.5
    ${alive()}
    test "$(${pid()})" != "$before"
    curl -fsS -H "X-API-Key: $(cat /srv/key)" localhost:8787/me | grep '"used":1'`,
  'lets its books be examined by its user while it serves': `
    runuser -u quota-proxy -- env DATA_DIR=/var/lib/quota-proxy quota-proxy doctor`,
  'backs itself up from inside the sandbox': `
    curl -fsS -X POST -H "Authorization: Bearer $(cat /var/lib/quota-proxy/admin-token)" localhost:8787/admin/backups
    ls /var/lib/quota-proxy/backups/*
    runuser -u quota-proxy -- env DATA_DIR=/var/lib/quota-proxy quota-proxy backup verify`,
  'is not started again and again with settings that are wrong': `
    cp -p /etc/quota-proxy/quota-proxy.env /srv/good
    echo PORT=x >>/etc/quota-proxy/quota-proxy.env
    systemctl restart quota-proxy || true
    sleep 1.5
    test "$(systemctl show --property=NRestarts --value quota-proxy)" = 0
    systemctl is-failed quota-proxy
    cp -p /srv/good /etc/quota-proxy/quota-proxy.env
    systemctl start quota-proxy
    ${alive()}`,
  'starts a replica for each port, each with a data directory of its own': `
    echo LOG_LEVEL=debug >/etc/quota-proxy/replica-8789.env
    systemctl start quota-proxy@8788 quota-proxy@8789
    curl -fsS localhost:8788/healthz
    curl -fsS localhost:8789/healthz
    for port in 8788 8789; do
      test "$(stat -c %U:%G:%a /var/lib/quota-proxy/replica-$port)" = quota-proxy:quota-proxy:700
      grep -E '^Seccomp:\\s+2$' /proc/$(${pid('quota-proxy@$port')})/status
      runuser -u quota-proxy -- env DATA_DIR=/var/lib/quota-proxy/replica-$port quota-proxy keys list
    done
    grep -z '^LOG_LEVEL=debug' /proc/$(${pid('quota-proxy@8789')})/environ
    if grep -z '^LOG_LEVEL' /proc/$(${pid('quota-proxy@8788')})/environ; then exit 1; fi`,
  'is upgraded with the settings and the data that are there, replicas one after the other': `
    before=$(${pid()})
    ${pid('quota-proxy@8788')} >/srv/replica
    dpkg --install /srv/quota-proxy.deb </dev/null
    ${alive()}
    test "$(${pid()})" != "$before"
    test "$(${pid('quota-proxy@8788')})" != "$(cat /srv/replica)"
    curl -fsS localhost:8788/healthz
    curl -fsS localhost:8789/healthz
    ${call()} | grep '{"ok":true}'
    curl -fsS -H "X-API-Key: $(cat /srv/key)" localhost:8787/me | grep '"used":2'`,
  'stops in order, and leaves its data when it is removed and purged': `
    dpkg --remove quota-proxy
    for unit in quota-proxy quota-proxy@8788 quota-proxy@8789; do
      if systemctl is-active $unit; then exit 1; fi
    done
    journalctl --unit quota-proxy --output cat --no-pager | grep '"msg":"stopped"'
    test -e /etc/quota-proxy/quota-proxy.env
    rm /etc/quota-proxy/replica-8789.env
    dpkg --purge quota-proxy
    test ! -e /etc/quota-proxy
    test -e /var/lib/quota-proxy/quota.db`,
}

const obstacle = isBinary ? machineObstacle() : 'needs TARGET=binary'
describe.skipIf(obstacle !== null)(
  `on a machine with systemd, the package${obstacle ? ` (${obstacle})` : ''}`,
  () => {
    let results: Step[] = []
    beforeAll(async () => {
      results = await runInMachine(STEPS, { 'quota-proxy.deb': await debianPackage() })
    }, 180_000)

    for (const title of Object.keys(STEPS))
      test(title, () => {
        const step = results.find((one) => one.title === title)
        if (step?.code !== 0) throw new Error(step?.output ?? 'it did not run')
      })
  },
)

/** Waits until it answers; `curl` repeats what is refused. */
function alive(): string {
  return 'curl -fsS --retry 30 --retry-delay 1 --retry-connrefused localhost:8787/healthz'
}

function pid(name = 'quota-proxy'): string {
  return `systemctl show --property=MainPID --value ${name}`
}

function admin(path: string, body: string): string {
  const token = '"Authorization: Bearer $(cat /var/lib/quota-proxy/admin-token)"'
  return `curl -fsS -H ${token} -H content-type:application/json -d '${body}' localhost:8787${path}`
}

/** The server is its own upstream: there is no other on the machine. */
function call(): string {
  const body = '{"endpoint":"http://127.0.0.1:8787/healthz"}'
  return `curl -sS -H "X-API-Key: $(cat /srv/key)" -H content-type:application/json -d '${body}' localhost:8787/proxy | tee --append /dev/stderr`
}
