/**
 * The scripts beside docker compose. No container engine can be had here: a program called `docker` stands in for it,
 * which knows `compose ps` and `compose exec -T [--env X=Y] quota-proxy …`, and runs the command on this machine with
 * the environment that the container would have. Everything behind it is real. That a container of the image has what
 * the scripts call in it (sh, ls, od, df, stat, id, test) rests on its base, Debian.
 */
import { expect, setDefaultTimeout, test } from 'bun:test'
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { PROGRAM, report, runScript, SCRIPT_NAMES, settingsOf } from '../support/scripts.ts'
import { issueKey, startServer, temporaryDirectory } from '../support/server.ts'

/** A script is a dozen processes, each done within a second on a machine with nothing else to do. */
setDefaultTimeout(60_000)

/** What `docker compose` does of what the scripts ask of it. `said` gets a line for each time that it is run. */
function writeDocker(container: Record<string, string>, { runs }: { runs: boolean }) {
  const directory = temporaryDirectory()
  const said = join(directory, 'said')
  const settings = Object.entries({ PATH: `${dirname(PROGRAM)}:/usr/bin:/bin`, ...container })
    .map(([name, value]) => `'${name}=${value}'`)
    .join(' ')
  writeFileSync(
    join(directory, 'docker'),
    `#!/bin/sh
printf '%s: %s\\n' "$PWD" "$*" >>'${said}'
case "$1 $2" in
  'compose ps') ${runs ? "echo '4f1d2c3b5a69'" : ':'} ;;
  'compose exec')
    [ "$3" = -T ] || exit 64
    shift 3
    extra=''
    while [ "$1" = --env ]; do
      extra="$extra $2"
      shift 2
    done
    [ "$1" = quota-proxy ] || exit 64
    shift
    # No value in these tests has a blank in it.
    exec env -i ${settings} $extra "$@"
    ;;
  *) exit 64 ;;
esac
`,
  )
  chmodSync(join(directory, 'docker'), 0o755)
  return { directory, said: () => (existsSync(said) ? readFileSync(said, 'utf8') : '') }
}

/** A folder with a compose file and a server, which only "its container" knows the data directory of. */
async function start({ runs = true }: { runs?: boolean } = {}) {
  const server = await startServer()
  await issueKey(server)
  const folder = temporaryDirectory()
  writeFileSync(join(folder, 'compose.yaml'), 'services: { quota-proxy: {} }\n')
  writeFileSync(join(folder, '.env'), 'LOG_LEVEL=info')
  const docker = writeDocker(settingsOf(server), { runs })
  const env = {
    PATH: `${docker.directory}:${process.env['PATH']}`,
    QUOTA_PROXY_BIN: '/nowhere/quota-proxy',
  }
  return { server, folder, docker, env }
}

test('beside compose, the scripts need no quota-proxy on this machine', async () => {
  const { server, folder, env } = await start()
  expect(await report('verify-sqlite-status.sh', [], env, folder)).toMatchObject({
    ok: true,
    code: 0,
    doctor: { ok: true },
  })
  expect(await report('test-admin-interface.sh', [], env, folder)).toMatchObject({
    ok: true,
    code: 0,
  })
  const { data } = (await (await server.admin('GET', '/admin/keys')).json()) as { data: unknown[] }
  expect(data).toHaveLength(1)

  expect((await runScript('check-server-backup-status.sh', [], env, folder)).code).toBe(1)
  const made = await runScript('backup-database.sh', [], env, folder)
  expect(made).toMatchObject({ err: '', code: 0 })
  expect(made.out).toContain(`${server.dataDir}/backups/quota-`)
  expect((await runScript('check-server-backup-status.sh', ['--verify'], env, folder)).code).toBe(0)
  expect((await runScript('backup-status-summary.sh', [], env, folder)).out).toStartWith(
    'ok | 1 kept',
  )
})

test('where its database lies is looked at from within, and must be a volume', async () => {
  const { server, folder, docker, env } = await start()
  const { findings } = await report('configure-sqlite-persistence.sh', ['--check'], env, folder)
  const volume = findings.find(({ check }) => check === 'volume')
  // The directories of tests may lie on a mount of their own or not.
  expect(volume?.detail).toMatch(volume?.ok ? /is mounted from outside/ : /mount a volume there$/)
  expect(docker.said()).toContain(
    `${folder}: compose exec -T quota-proxy df -P ${server.dataDir}\n`,
  )
})

test('its settings are changed in the .env beside its compose file, once it has found them valid', async () => {
  const { folder, docker, env } = await start()
  const file = join(folder, '.env')
  const wrong = ['--schedule', 'never', '--yes']
  expect((await runScript('configure-backup-alerts.sh', wrong, env, folder)).code).toBe(2)
  expect(readFileSync(file, 'utf8')).toBe('LOG_LEVEL=info')

  const right = ['--schedule', '@hourly', '--keep', '48', '--yes']
  const found = await report('configure-backup-alerts.sh', right, env, folder)
  expect(found).toMatchObject({ ok: true, code: 0 })
  expect(found.findings.at(-1)).toMatchObject({
    check: 'next',
    detail: 'docker compose up -d quota-proxy',
  })
  expect(readFileSync(file, 'utf8')).toBe(
    'LOG_LEVEL=info\nBACKUP_SCHEDULE=@hourly\nBACKUP_KEEP=48\n',
  )
  expect(docker.said()).toContain(
    'exec -T --env BACKUP_SCHEDULE=@hourly --env BACKUP_KEEP=48 quota-proxy quota-proxy config\n',
  )
})

test('a service that does not run is not taken for one, and is missed where compose was asked for', async () => {
  const { server, folder, env } = await start({ runs: false })
  const host = { PATH: env.PATH, ...settingsOf(server) }
  expect((await runScript('verify-sqlite-status.sh', [], host, folder)).code).toBe(0)
  for (const name of SCRIPT_NAMES) {
    const { out, err, code } = await runScript(name, ['--compose'], host, folder)
    expect({ name, out, code }).toEqual({ name, out: '', code: 1 })
    expect(err).toContain('docker compose runs no service quota-proxy here.')
  }
})

test('--host and --url leave compose alone', async () => {
  const { server, folder, docker, env } = await start()
  const host = { PATH: env.PATH, ...settingsOf(server) }
  expect((await runScript('verify-sqlite-status.sh', ['--host'], host, folder)).code).toBe(0)
  const at = ['--url', server.url, '--token-file', join(server.dataDir, 'admin-token')]
  expect((await runScript('verify-sqlite-status.sh', at, host, folder)).code).toBe(0)
  expect(docker.said()).toBe('')
  expect(
    (await runScript('verify-sqlite-status.sh', [...at, '--compose'], host, folder)).code,
  ).toBe(2)
})
