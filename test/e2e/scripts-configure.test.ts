/** The scripts that change settings: what they change, that they change nothing else, and what comes of it. */
import { expect, setDefaultTimeout, test } from 'bun:test'
import { chmodSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { runCommand } from '../support/command.ts'
import { ROOT } from '../support/markdown.ts'
import { answerInTerminal, report, runScript, SCRIPTS, settingsOf } from '../support/scripts.ts'
import { startServer, temporaryDirectory } from '../support/server.ts'

/** A script is a dozen processes, each done within a second on a machine with nothing else to do. */
setDefaultTimeout(60_000)

const ALERTS = 'configure-backup-alerts.sh'
const PERSISTENCE = 'configure-sqlite-persistence.sh'
const TOKEN = '7f3c9a1e5b2d8064c7f3'

/** The last line has no end, as editors on some systems leave it. */
const LINES = [
  '# ours',
  '',
  '#BACKUP_KEEP=3',
  'LOG_LEVEL="warn" # quiet',
  'MINE=$x',
  `ADMIN_TOKEN=${TOKEN}`,
]
const TEXT = LINES.join('\n')

/** A directory with a file of settings, of which others of the group may read. */
function folderWith(text = TEXT) {
  const folder = temporaryDirectory()
  const file = join(folder, '.env')
  writeFileSync(file, text)
  chmodSync(file, 0o640)
  const { mtimeMs, ino } = statSync(file)
  return {
    folder,
    file,
    text: () => readFileSync(file, 'utf8'),
    /** Neither written, nor replaced by the same, nor anything left beside it. */
    isUntouched: () =>
      readFileSync(file, 'utf8') === text &&
      statSync(file).mtimeMs === mtimeMs &&
      statSync(file).ino === ino &&
      readdirSync(folder).join() === '.env',
  }
}

test('backups are turned on in the file of settings, which otherwise stays as it is', async () => {
  const { folder, file, text } = folderWith()
  const { out, err, code } = await runScript(ALERTS, ['--yes'], {}, folder)
  expect({ err, code }).toEqual({ err: '', code: 0 })
  expect(text()).toBe(`${TEXT}\nBACKUP_SCHEDULE="17 3 * * *"\n`)
  expect(statSync(file).mode & 0o777).toBe(0o640)
  expect(readdirSync(folder)).toEqual(['.env'])
  expect(out).toContain('\n+ BACKUP_SCHEDULE="17 3 * * *"\n')
  expect(out).not.toContain(TOKEN)

  const { ino } = statSync(file)
  const again = await report(ALERTS, ['--yes'], {}, folder)
  expect(again).toMatchObject({ ok: true, code: 0 })
  expect(again.findings[0]?.detail).toContain('there is nothing to change')
  expect(statSync(file).ino).toBe(ino)

  const other = await report(
    ALERTS,
    ['--schedule', '0 */6 * * *', '--keep', '28', '--yes'],
    {},
    folder,
  )
  expect(other).toMatchObject({ ok: true, code: 0 })
  expect(text()).toBe(`${TEXT}\nBACKUP_SCHEDULE="0 */6 * * *"\nBACKUP_KEEP=28\n`)
  expect(readdirSync(folder)).toEqual(['.env'])
})

test('a setting that stands there twice stands there once afterwards, where it was first', async () => {
  const { folder, text } = folderWith(
    'A=1\n  export BACKUP_KEEP=2\nB=2\nBACKUP_KEEP="9"\nBACKUP_KEEP_DAYS=5\n',
  )
  expect(
    (await runScript(ALERTS, ['--keep', '7', '--schedule', '@daily', '--yes'], {}, folder)).code,
  ).toBe(0)
  expect(text()).toBe(
    'A=1\nBACKUP_KEEP=7\nB=2\nBACKUP_KEEP_DAYS=5\nBACKUP_SCHEDULE="@daily"\n'.replaceAll('"', ''),
  )
})

for (const [what, args, code] of [
  ['it is only to be shown', ['--dry-run'], 0],
  ['nobody can be asked', [], 2],
  ['the schedule is none', ['--schedule', '61 3 * * *', '--yes'], 2],
  ['the number is none', ['--keep', '0', '--yes'], 2],
  ['a value could be read in two ways', ['--schedule', '@daily$x', '--yes'], 2],
  ['the webhook is no URL', ['--webhook', 'hooks.example.org', '--yes'], 2],
  ['the webhook would break the file', ['--webhook', "https://hooks.example.org/'", '--yes'], 2],
] as const) {
  test(`nothing is touched when ${what}`, async () => {
    const folder = folderWith()
    expect((await runScript(ALERTS, args, {}, folder.folder)).code).toBe(code)
    expect(folder.isUntouched()).toBe(true)
  })
}

test('what would be changed is shown, with nothing of the other lines', async () => {
  const { folder, isUntouched } = folderWith()
  for (const args of [[ALERTS], [PERSISTENCE, '--durability', 'full']]) {
    const [name = '', ...rest] = args
    const { out, code } = await runScript(name, [...rest, '--dry-run'], {}, folder)
    expect(code).toBe(0)
    expect(out).toMatch(/^\.env:\n\+ [A-Z_]+=.*\nok {4}settings {6}\.env would be changed: /)
    expect(out).not.toContain(TOKEN)
    expect(await report(name, [...rest, '--dry-run'], {}, folder)).toMatchObject({
      ok: true,
      code: 0,
    })
  }
  expect(isUntouched()).toBe(true)
})

test('whoever sits at a terminal is asked, and only yes is yes', async () => {
  const { folder, text, isUntouched } = folderWith()
  const command = `dash ${SCRIPTS}/${ALERTS}`
  const no = await answerInTerminal(command, 'n', {}, folder)
  expect(no.shown).toContain('Change .env? [y/N] ')
  expect(no.code).toBe(1)
  expect(isUntouched()).toBe(true)
  expect((await answerInTerminal(command, 'y', {}, folder)).code).toBe(0)
  expect(text()).toContain('\nBACKUP_SCHEDULE="17 3 * * *"\n')
})

test('where nothing can be written it says so, and a link stays a link', async () => {
  const nowhere = await runScript(ALERTS, ['--yes', '--env-file', '/proc/quota-proxy.env'])
  expect(nowhere).toMatchObject({ out: '', code: 1 })
  expect(nowhere.err).toContain('Nothing can be written to the directory of /proc/quota-proxy.env.')

  const { folder, file, text } = folderWith()
  const link = join(temporaryDirectory(), 'link.env')
  symlinkSync(file, link)
  expect((await runScript(ALERTS, ['--yes', '--env-file', link], {}, folder)).code).toBe(0)
  expect(text()).toContain('BACKUP_SCHEDULE')
  expect(readFileSync(link, 'utf8')).toBe(text())
})

test('a running server takes up the schedule from its own file of settings', async () => {
  const file = join(temporaryDirectory(), 'quota-proxy.env')
  writeFileSync(file, 'LOG_LEVEL=info\n')
  const server = await startServer({ CONFIG_FILE: file })
  const settings = { ...settingsOf(server), CONFIG_FILE: file }
  const before = await report(ALERTS, ['--check'], settings)
  expect(before.wrong).toEqual(['schedule', 'backups', 'webhook'])
  const found = await report(ALERTS, ['--yes'], settings)
  expect(found.findings.at(-1)?.detail).toBe('nothing: a running server notices within seconds')

  let schedule: unknown = null
  while (schedule === null) {
    await Bun.sleep(100)
    const body = await (await server.admin('GET', '/admin/backups')).json()
    schedule = (body as { status: { schedule: unknown } }).status.schedule
  }
  expect(schedule).toBe('17 3 * * *')
  await runScript('backup-database.sh', [], settings)
  expect(await report(ALERTS, ['--check'], settings)).toMatchObject({ code: 1, wrong: ['webhook'] })
})

test('Alertmanager is told whom to tell, in a copy of its own, once and for all', async () => {
  const { folder, text } = folderWith()
  const webhook = 'https://hooks.example.org/quota-proxy?a=1&b=2'
  const { out, code } = await runScript(ALERTS, ['--webhook', webhook, '--yes'], {}, folder)
  expect(code).toBe(0)
  expect(out).not.toContain(webhook)
  expect(text()).toEndWith('\nALERTMANAGER_CONFIG=./alertmanager.yml\n')
  const copy = join(folder, 'alertmanager.yml')
  const shipped = readFileSync(join(ROOT, 'deploy/monitoring/alertmanager.yml'), 'utf8')
  expect(shipped.split('url: http://webhook.invalid/').length).toBeGreaterThan(1)
  expect(readFileSync(copy, 'utf8')).toBe(
    shipped.replaceAll('url: http://webhook.invalid/', `url: ${webhook}`),
  )
  if (Bun.which('amtool')) {
    expect((await runCommand(['amtool', 'check-config', copy])).code).toBe(0)
  }

  const { ino } = statSync(copy)
  expect(await report(ALERTS, ['--webhook', webhook, '--yes'], {}, folder)).toMatchObject({
    ok: true,
    code: 0,
  })
  expect(statSync(copy).ino).toBe(ino)
  const found = await report(ALERTS, ['--check'], {}, folder)
  expect(found.wrong).toEqual(['backups'])

  const other = await runScript(
    ALERTS,
    ['--webhook', 'https://other.example.org/', '--yes'],
    {},
    folder,
  )
  expect(other).toMatchObject({ out: '', code: 1 })
  expect(readFileSync(copy, 'utf8')).toContain(webhook)
  expect(readdirSync(folder).sort()).toEqual(['.env', 'alertmanager.yml'])
})
