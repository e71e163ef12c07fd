import { expect, test } from 'bun:test'
import { backupEnvironment, backupSettings } from '../../src/config/backup-settings.ts'
import type { Environment } from '../../src/config/environment.ts'
import { loadConfig } from '../../src/config/load.ts'
import { ROWS } from '../../src/config/options.ts'
import {
  nameOfManifest,
  newName,
  readManifest,
  readName,
} from '../../src/modules/backups/catalog.ts'
import { expired } from '../../src/modules/backups/storage.ts'

const DAY_MS = 86_400_000
const NOW = Date.parse('2026-11-23T03:17:00Z')

function settingsFrom(env: Environment) {
  const loaded = loadConfig(env)
  if (!loaded.ok) throw new Error(loaded.problems.join('\n'))
  return backupSettings(loaded.config)
}

test.each([
  ['defaults', { DATA_DIR: '/srv/data' }],
  [
    'every setting but the schedule',
    {
      DATABASE_URL: 'file:/srv/quota.db',
      BACKUP_DIR: '/srv/back ups',
      BACKUP_KEEP: '3',
      BACKUP_KEEP_DAYS: '7',
      BACKUP_AGE_RECIPIENTS: `age1${'q'.repeat(58)},age1${'p'.repeat(58)}`,
      BACKUP_S3_URL: 's3://bucket/prefix',
      BACKUP_S3_ENDPOINT: 'https://s3.example.com',
      BACKUP_S3_REGION: 'eu-central-1',
      BACKUP_S3_ACCESS_KEY_ID: 'AKIAEXAMPLE',
      BACKUP_S3_SECRET_ACCESS_KEY: 'secret/+x',
    },
  ],
  [
    'a storage of Amazon',
    {
      BACKUP_S3_URL: 's3://bucket',
      BACKUP_S3_ACCESS_KEY_ID: 'AKIAEXAMPLE',
      BACKUP_S3_SECRET_ACCESS_KEY: 'secret/+x',
    },
  ],
])('the process that makes a backup has the settings of the server: %s', (_, env) => {
  const settings = settingsFrom({ ...env, BACKUP_SCHEDULE: '17 3 * * *' })
  expect(settings.schedule).toBe('17 3 * * *')
  expect(settingsFrom(backupEnvironment(settings))).toEqual({ ...settings, schedule: null })
})

test('no setting of backups is forgotten on the way to the process that makes them', () => {
  const s3 = { url: 's3://b', endpoint: 'https://e', region: 'r', accessKeyId: 'a' }
  const storage = { ...s3, secretAccessKey: 's' }
  const handed = Object.keys(backupEnvironment({ ...settingsFrom({}), storage }))
  const settings = ROWS.map(([, { env }]) => env).filter((name) => name.startsWith('BACKUP_'))
  expect([...handed, 'BACKUP_SCHEDULE'].toSorted()).toEqual(
    [...settings, 'DATABASE_URL'].toSorted(),
  )
})

const backup = (days: number, problem: string | null = null) => ({
  at: NOW - days * DAY_MS,
  problem,
})

test('as many sound backups are kept as the settings say, and none that is older', () => {
  const all = [backup(0), backup(1), backup(2), backup(9)]
  expect(expired(all, { count: 2, days: 90 }, NOW)).toEqual(all.slice(2))
  expect(expired(all, { count: 9, days: 8 }, NOW)).toEqual(all.slice(3))
})

test('the newest sound backup stays, whatever its age', () => {
  const all = [backup(100, 'has no manifest'), backup(200), backup(201)]
  expect(expired(all, { count: 1, days: 1 }, NOW)).toEqual([
    backup(100, 'has no manifest'),
    backup(201),
  ])
})

test('an unsound backup takes no place of a sound one, and goes by its age alone', () => {
  const all = [backup(0, 'is not as long as it was'), backup(1), backup(2), backup(3)]
  expect(expired(all, { count: 2, days: 90 }, NOW)).toEqual([backup(3)])
})

test('a name says the second that its backup shows, what is in it, and whether it is encrypted', () => {
  for (const encrypted of [true, false]) {
    for (const extension of ['db', 'dump'] as const) {
      const name = newName(NOW + 14, extension, encrypted)
      expect(readName(name)).toEqual({ name, at: NOW, extension, encrypted })
      expect(nameOfManifest(`${name}.json`)).toBe(name)
    }
  }
})

test('a file with another name is never taken for a backup', () => {
  const others = [
    'quota.db',
    'status.json',
    'quota-20261123T031700Z-5f0c3a.db',
    'quota-20261323T031700Z-5f0c3a.db.zst',
    'a-quota-20261123T031700Z-5f0c3a.db.zst',
    'quota-20261123T031700Z-5f0c3a.db.zst.tmp',
  ]
  expect(others.map(readName)).toEqual(others.map(() => null))
  expect(others.map(nameOfManifest)).toEqual(others.map(() => null))
})

test('a manifest counts only for the backup that it describes', () => {
  const name = newName(NOW, 'db', false)
  const manifest = {
    format: 1,
    name,
    created_at: '2026-11-23T03:17:00.014Z',
    bytes: 1,
    sha256: 'a'.repeat(64),
    sums: { migrations: [] },
  }
  expect(readManifest(JSON.stringify(manifest), name)).toEqual(manifest as never)
  const wrong = [
    { ...manifest, format: 2 },
    { ...manifest, name: newName(NOW, 'db', false) },
    { ...manifest, created_at: '2026-11-23T03:17:01.014Z' },
    { ...manifest, sha256: 'a' },
    { ...manifest, bytes: null },
    { ...manifest, sums: null },
  ]
  for (const one of wrong) expect(readManifest(JSON.stringify(one), name)).toBeNull()
  expect(readManifest('{', name)).toBeNull()
})
