import { afterAll, expect, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { runProgram } from '../../src/cli/program.ts'
import type { Environment } from '../../src/config/environment.ts'
import { loadConfig } from '../../src/config/load.ts'
import { renderConfigurationMarkdown } from '../../src/config/markdown.ts'
import { type Config, type Field, OPTIONS, ROWS } from '../../src/config/options.ts'
import { editDistance } from '../../src/lib/text/edit-distance.ts'

const TOKEN = '7f3c9a1e5b2d8064c7f3'
const RECIPIENT = 'age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p'
const S3 = {
  BACKUP_S3_URL: 's3://bucket',
  BACKUP_S3_ACCESS_KEY_ID: 'AKIAEXAMPLE',
  BACKUP_S3_SECRET_ACCESS_KEY: 'secret',
}
const SECRET_KEY = 'vl9vPeN3QmR4sXk2Yw7zAb1CdE0fGhIjKlMnOpQrStU'
const scratch = mkdtempSync(join(tmpdir(), 'quota-proxy-config-'))
afterAll(() => rmSync(scratch, { recursive: true }))

function load(env: Environment): Config {
  const loaded = loadConfig(env)
  if (!loaded.ok) throw new Error(loaded.problems.join('\n'))
  return loaded.config
}

function problems(env: Environment): readonly string[] {
  const loaded = loadConfig(env)
  return loaded.ok ? [] : loaded.problems
}

function scratchFile(name: string, content: string): string {
  const path = join(scratch, name)
  writeFileSync(path, content)
  return path
}

async function runConfig(env: Environment, ...args: string[]) {
  const printed = { out: '', err: '' }
  const code = await runProgram(['config', ...args], env, {
    out: (text) => {
      printed.out += text
    },
    err: (text) => {
      printed.err += text
    },
  })
  return { code, ...printed }
}

test('an empty environment is a working configuration that listens on this machine only', () => {
  expect(load({})).toEqual({
    configFile: undefined,
    port: 8787,
    host: '127.0.0.1',
    trustedProxies: [],
    tlsCertFile: undefined,
    tlsKeyFile: undefined,
    adminListen: undefined,
    metricsListen: undefined,
    metricsToken: undefined,
    metricsKeysMax: 0,
    dataDir: './data',
    databaseUrl: 'file:./data/quota.db',
    adminToken: undefined,
    adminTokenFile: undefined,
    secretKey: undefined,
    secretKeyFile: undefined,
    upstreamBaseUrl: undefined,
    upstreamApiKey: undefined,
    upstreamMount: '/v1',
    logLevel: 'info',
    logFormat: 'auto',
    durability: 'normal',
    chargeOn: 'answer',
    egress: 'public',
    egressAllow: [],
    proxyTimeoutMs: 600_000,
    proxyIdleTimeoutMs: 120_000,
    proxyBodyBytesMax: 10 * 1024 * 1024,
    proxyInFlightMax: 8192,
    proxyBufferBytesMax: 134_217_728,
    callsRetentionDays: 90,
    callsMax: 10_000_000,
    usageRetentionDays: 1_830,
    backupSchedule: undefined,
    backupDir: './data/backups',
    backupKeep: 14,
    backupKeepDays: 90,
    backupAgeRecipients: [],
    backupS3Url: undefined,
    backupS3Endpoint: undefined,
    backupS3Region: 'us-east-1',
    backupS3AccessKeyId: undefined,
    backupS3SecretAccessKey: undefined,
    shutdownDelayMs: 0,
    shutdownGraceMs: 30_000,
    keyPrefix: 'trial_',
    defaultTimezone: 'UTC',
    currency: 'USD',
  })
})

/** `beside` is what the option needs. */
type Row = { good: [string, unknown][]; bad: string[]; beside?: Environment }

/** Every option has its row here; the last test of this file says so. */
const VALUES: Readonly<Record<string, Row>> = {
  CONFIG_FILE: {
    good: [[scratchFile('settings', '# none\n'), join(scratch, 'settings')]],
    bad: [scratch, join(scratch, 'missing'), scratchFile('unknown', 'PROT_TO_LISTEN_ON=1\n')],
  },
  PORT: {
    good: [
      ['0', 0],
      ['80', 80],
      ['65535', 65_535],
      [' 8080\r', 8080],
    ],
    bad: ['65536', '-1', '80.5', '1e3', '0x50', 'http', '9'.repeat(400), '８０'],
  },
  HOST: {
    good: [
      ['0.0.0.0', '0.0.0.0'],
      ['::', '::'],
      ['[::1]', '::1'],
      ['localhost', 'localhost'],
      ['api.internal-1.example', 'api.internal-1.example'],
    ],
    bad: ['http://localhost', 'localhost:80', '*', '256.0.0.1', '1', 'a b', 'a..b', '[localhost'],
  },
  TRUSTED_PROXIES: {
    good: [
      ['10.0.0.1', ['10.0.0.1']],
      ['10.1.2.3/8, 2001:DB8:0::/32,::1', ['10.0.0.0/8', '2001:db8::/32', '::1']],
      ['::ffff:172.16.0.0/108', ['172.16.0.0/12']],
    ],
    bad: ['localhost', '10.0.0.0/33', '10.0.0.1:80', '10.0.0.1,,::1', '0.0.0.0/0', '::1, ::/0'],
  },
  TLS_CERT_FILE: {
    good: same('/etc/tls/cert.pem'),
    bad: [],
    beside: { TLS_KEY_FILE: 'key.pem' },
  },
  TLS_KEY_FILE: { good: same('key.pem'), bad: [], beside: { TLS_CERT_FILE: 'cert.pem' } },
  ADMIN_LISTEN: {
    good: [
      ['127.0.0.1:9000', { host: '127.0.0.1', port: 9000 }],
      ['[::1]:0', { host: '::1', port: 0 }],
      ['admin.internal:443', { host: 'admin.internal', port: 443 }],
    ],
    bad: [
      '9000',
      ':9000',
      '127.0.0.2',
      '::1:9000',
      'localhost:65536',
      'http://localhost:80',
      'a b:80',
    ],
  },
  METRICS_LISTEN: {
    good: [['0.0.0.0:9464', { host: '0.0.0.0', port: 9464 }]],
    bad: ['9464', 'x:'],
  },
  METRICS_TOKEN: { good: [[TOKEN, TOKEN]], bad: ['short', 'x'.repeat(64)] },
  METRICS_KEYS_MAX: { good: [['100', 100]], bad: ['-1', '10001', 'all'] },
  DATA_DIR: {
    good: [
      ['/data', '/data'],
      ['/data//', '/data'],
      ['relative', 'relative'],
    ],
    bad: ['/', '//'],
  },
  DATABASE_URL: {
    good: [
      ['file:/data/quota.db', 'file:/data/quota.db'],
      ['file:///data/quota.db', 'file:/data/quota.db'],
      ['file:./quota.db', 'file:./quota.db'],
      ['file:quota.db', 'file:quota.db'],
      [':memory:', ':memory:'],
      ['postgres://user:hunter2@localhost/quota', 'postgres://user:hunter2@localhost/quota'],
      ['postgresql://user@a:5433,b/quota', 'postgresql://user@a:5433,b/quota'],
    ],
    bad: [
      'file:',
      'file://',
      'file:///',
      'file://host/quota.db',
      'file:////host/quota.db',
      'file:/data/quota/',
      'file::memory:',
      'file:quota.db?mode=ro',
      'file:quota.db#x',
      '/var/lib/quota.db',
      'quota.db',
      'mysql://localhost/quota',
      'postgres://user:hunter2@localhost/quota?sslmode=prefer',
      'POSTGRESQL://localhost/quota',
    ],
  },
  ADMIN_TOKEN: {
    good: [[TOKEN, TOKEN]],
    bad: ['short', 'your-secure-admin-token-here', 'white space within a token', 'x'.repeat(64)],
  },
  ADMIN_TOKEN_FILE: {
    good: [[scratchFile('good', `${TOKEN}\n`), join(scratch, 'good')]],
    bad: [
      scratch,
      join(scratch, 'missing'),
      scratchFile('empty', '\n'),
      scratchFile('weak', 'changeme'),
    ],
  },
  SECRET_KEY: {
    good: [
      [SECRET_KEY, [SECRET_KEY]],
      [
        `${SECRET_KEY}=, ${Buffer.from(SECRET_KEY, 'base64url').toString('hex')}`,
        [SECRET_KEY, SECRET_KEY],
      ],
    ],
    bad: ['short', TOKEN, 'changeme'.repeat(8), `${SECRET_KEY},x`, `${SECRET_KEY},,${SECRET_KEY}`],
  },
  SECRET_KEY_FILE: {
    good: [[scratchFile('key', `${SECRET_KEY}\n`), join(scratch, 'key')]],
    bad: [scratch, join(scratch, 'missing'), scratchFile('no-key', '\n')],
  },
  UPSTREAM_BASE_URL: {
    good: [
      ['https://api.openai.com/v1', 'https://api.openai.com/v1'],
      ['https://API.example.com:443/', 'https://api.example.com'],
      ['http://127.0.0.1:11434/v1/', 'http://127.0.0.1:11434/v1'],
      ['http://[::1]/a/b//', 'http://[::1]/a/b'],
    ],
    bad: [
      'example.com/v1', 'ftp://example.com', 'https://user:hunter2@example.com', 'https://@example.com',
      'https://example.com/?a=1', 'https://example.com/?', 'https://example.com/#', 'https://example.com/a//b',
      'https://example.com/a%2fb', 'https:example.com', 'https://exa mple.com', 'https://example.com\\a',
    ], // biome-ignore format: a list
  },
  UPSTREAM_API_KEY: {
    good: same('sk-abc', 'two words'),
    bad: ['sk-\u0000abcdefg', 'sk-é-abcdefgh', 'sk-a\nX-Injected: 1', 'x'.repeat(8_001)],
    beside: { UPSTREAM_BASE_URL: 'https://example.com' },
  },
  UPSTREAM_MOUNT: {
    good: same('/v1', '/a/b-c_d.e~f', '/v1/u', '/administrators'),
    bad: [
      '/', 'v1', '/v1/', '//v1', '/v1//a', '/v1/../admin', '/./v1', '/v1/..', '/v%31', '/v1?a', '/v1#a', '/v 1', '/v1;a',
      '/admin', '/admin/x', '/Admin', '/proxy', '/u', '/u/x', '/me', '/healthz', '/readyz', '/swagger/json', '/metrics',
      `/${'a'.repeat(200)}`,
    ], // biome-ignore format: a list
    beside: { UPSTREAM_BASE_URL: 'https://example.com' },
  },
  LOG_LEVEL: {
    good: [...same('debug', 'info', 'warn', 'error', 'silent'), ['INFO', 'info']],
    bad: ['trace', 'warning', 'info,debug'],
  },
  LOG_FORMAT: { good: same('auto', 'json', 'pretty'), bad: ['text'] },
  DURABILITY: { good: same('normal', 'full'), bad: ['off'] },
  CHARGE_ON: { good: same('attempt', 'answer', 'success'), bad: ['never'] },
  PROXY_EGRESS: { good: same('public', 'off'), bad: ['private', 'true'] },
  PROXY_EGRESS_ALLOW: {
    good: [
      ['Api.Example.com', [{ host: 'api.example.com' }]],
      ['10.0.0.1:8080, example.com', [{ host: '10.0.0.1', port: 8080 }, { host: 'example.com' }]],
    ],
    bad: ['http://example.com', 'example.com:0', 'example.com:65536', 'a,,b'],
  },
  PROXY_TIMEOUT_MS: { good: [['3600000', 3_600_000]], bad: ['0', '3600001', '10s'] },
  PROXY_IDLE_TIMEOUT_MS: { good: [['1', 1]], bad: ['0', '3600001', '1m'] },
  PROXY_BODY_BYTES_MAX: {
    good: [
      ['1', 1],
      ['512KiB', 512 * 1024],
      ['10 mib', 10 * 1024 ** 2],
      ['1GiB', 1024 ** 3],
    ],
    bad: ['0', '2GiB', '1073741825', '10MB', '10M', '1.5MiB', 'MiB', 'toString', '-1'],
  },
  PROXY_IN_FLIGHT_MAX: {
    good: [
      ['2', 2],
      ['65000', 65_000],
    ],
    bad: ['1', '0', '-1', '65001', '1e3', 'many'],
  },
  PROXY_BUFFER_BYTES_MAX: {
    good: [
      ['4MiB', 4 * 1024 ** 2],
      ['1 GiB', 1024 ** 3],
    ],
    bad: ['0', '1', '1KiB', '4194303', '-5', '2TiB', 'all'],
  },
  CALLS_RETENTION_DAYS: { good: [['1', 1]], bad: ['0', '1.5', '36501'] },
  CALLS_MAX: { good: [['5', 5]], bad: ['0', 'many'] },
  USAGE_RETENTION_DAYS: { good: [['366', 366]], bad: ['0', '-1'] },
  BACKUP_SCHEDULE: {
    good: same('17 3 * * *', '*/5 0-6 1,15 * MON-FRI', '@daily'),
    bad: ['daily', '17 3 * *', '0 17 3 * * *', '61 * * * *', '0 0 31 2 *', '@sometimes'],
  },
  BACKUP_DIR: { good: [['/backups/', '/backups']], bad: ['/'] },
  BACKUP_KEEP: { good: [['1', 1]], bad: ['0', '10001'] },
  BACKUP_KEEP_DAYS: { good: [['30', 30]], bad: ['0', '1.5'] },
  BACKUP_AGE_RECIPIENTS: {
    good: [
      [RECIPIENT, [RECIPIENT]],
      [`${RECIPIENT}, ${RECIPIENT}`, [RECIPIENT, RECIPIENT]],
    ],
    bad: [RECIPIENT.toUpperCase(), `${RECIPIENT},`, RECIPIENT.slice(1), 'AGE-SECRET-KEY-1ABC'],
  },
  BACKUP_S3_URL: {
    good: [...same('s3://bucket', 's3://bucket/a/b'), ['s3://bucket/a/', 's3://bucket/a']],
    bad: ['bucket', 's3://', 's3://B', 's3://bucket?x', 'https://bucket/a'],
    beside: S3,
  },
  BACKUP_S3_ENDPOINT: {
    good: same('https://s3.example.com'),
    bad: ['s3.example.com', 'https://a:b@s3.example.com'],
    beside: S3,
  },
  BACKUP_S3_REGION: { good: same('eu-central-1'), bad: ['eu central'], beside: S3 },
  BACKUP_S3_ACCESS_KEY_ID: { good: same('AKIAEXAMPLE'), bad: ['a b'], beside: S3 },
  BACKUP_S3_SECRET_ACCESS_KEY: { good: same('secret/+x'), bad: ['s\u0000ecret'], beside: S3 },
  SHUTDOWN_DELAY_MS: { good: [['0', 0]], bad: ['3600001', '-1'] },
  SHUTDOWN_GRACE_MS: { good: [['0', 0]], bad: ['3600001', '-1'] },
  KEY_PREFIX: {
    good: same('a_', 'trial_', 'a1_b2_', 'abcdefghijklmno_'),
    bad: ['_', 'trial', 'Trial_', '1a_', 'tri-al_', 'abcdefghijklmnop_', 'key_', 'qpa_', 'key_x_'],
  },
  DEFAULT_TIMEZONE: {
    good: [
      ['UTC', 'UTC'],
      ['Asia/Shanghai', 'Asia/Shanghai'],
    ],
    bad: ['Asia/Nowhere', '+08:00', 'Beijing Time', '8'],
  },
  CURRENCY: { good: same('USD', 'CNY'), bad: ['usd', 'US', 'DOLLAR', '$', 'US$', '840'] },
}

function same(...texts: string[]): [string, unknown][] {
  return texts.map((text) => [text, text])
}

for (const [field, { env }] of ROWS) {
  const { good, bad, beside = {} } = VALUES[env] ?? { good: [], bad: [] }

  test(`${env} takes its good values`, () => {
    for (const [text, value] of good)
      expect(load({ ...beside, [env]: text })[field]).toEqual(value as never)
  })

  test(`${env} refuses a bad value with one sentence that names it and does not repeat the value`, () => {
    for (const text of bad) {
      const found = problems({ ...beside, [env]: text })
      expect([text, found.length]).toEqual([text, 1])
      expect(found[0]).toStartWith(`${env} `)
      if (text.length > 8) expect(found[0]).not.toContain(text)
    }
  })

  test(`${env} counts as not set when it is empty or white space`, () => {
    for (const text of ['', ' ', '\r\n']) expect(load({ [env]: text })).toEqual(load({}))
  })
}

test('every option has good and bad values in this file', () => {
  expect(Object.keys(VALUES)).toEqual(ROWS.map(([, { env }]) => env))
  for (const [name, { good, bad }] of Object.entries(VALUES)) {
    expect(good).not.toBeEmpty()
    // Any path may be one.
    if (!/^TLS_/.test(name)) expect(bad).not.toBeEmpty()
  }
})

test('a setting comes from the configuration file unless the environment has it', () => {
  const path = scratchFile('both', '# a comment\nPORT=1\nHOST = "0.0.0.0"\nLOG_LEVEL=\n')
  const loaded = loadConfig({ CONFIG_FILE: path, PORT: '2', HOST: ' ' })
  expect(loaded).toMatchObject({
    ok: true,
    config: { port: 2, host: '0.0.0.0', logLevel: 'info' },
    sources: { port: 'environment', host: 'configuration file', logLevel: 'default' },
  })
})

test('a name in the configuration file that is no setting is a problem, without its value', () => {
  const path = scratchFile('odd', 'LOG_LEVLE=hunter2\nSOMETHING=hunter2\nCONFIG_FILE=hunter2\n')
  expect(problems({ CONFIG_FILE: path })).toEqual([
    'LOG_LEVLE is not a setting; did you mean LOG_LEVEL?',
    'CONFIG_FILE sets SOMETHING, which is not a setting.',
    'CONFIG_FILE sets CONFIG_FILE, which is not a setting.',
  ])
})

test('a setting that means nothing without another one is refused by itself', () => {
  expect(problems({ TLS_CERT_FILE: 'cert.pem' })).toEqual([
    'TLS_CERT_FILE is set, but TLS_KEY_FILE is not.',
  ])
  expect(problems({ BACKUP_S3_URL: 's3://bucket' })).toEqual([
    'BACKUP_S3_URL is set, but BACKUP_S3_ACCESS_KEY_ID is not.',
    'BACKUP_S3_URL is set, but BACKUP_S3_SECRET_ACCESS_KEY is not.',
  ])
})

test('the default database lies in the data directory', () => {
  expect(load({ DATA_DIR: '/data/' }).databaseUrl).toBe('file:/data/quota.db')
  expect(load({ DATA_DIR: '/da$&ta' }).databaseUrl).toBe('file:/da$&ta/quota.db')
})

test('all problems are reported at once', () => {
  const env = Object.fromEntries(
    Object.entries(VALUES).flatMap(([name, { bad }]) => (bad[0] ? [[name, bad[0]]] : [])),
  )
  const found = problems({ ...env, LOG_LEVLE: 'info' })
  for (const name of [...Object.keys(env), 'LOG_LEVLE']) {
    expect(found.some((problem) => problem.startsWith(`${name} `))).toBe(true)
  }
})

test('a PostgreSQL without a user or a database is refused with the form that it needs', () => {
  for (const url of ['postgres://localhost/quota', 'postgres://quota@localhost'])
    expect(problems({ DATABASE_URL: url })).toEqual([
      expect.stringMatching(/^DATABASE_URL must .*postgres:\/\/user:password@host:5432\/database/),
    ])
})

test('an egress list without a target is refused where the list decides', () => {
  expect(problems({ PROXY_EGRESS: 'listed' })).toEqual([
    'PROXY_EGRESS is listed, but PROXY_EGRESS_ALLOW names no target.',
  ])
  expect(load({ PROXY_EGRESS: 'listed', PROXY_EGRESS_ALLOW: 'a.example' }).egress).toBe('listed')
})

test('a configuration cannot be changed after it was loaded', () => {
  const config = load({ PROXY_EGRESS_ALLOW: 'a.example' })
  expect(Object.isFrozen(config)).toBe(true)
  expect(Object.isFrozen(config.egressAllow)).toBe(true)
})

test('every value says where it came from', () => {
  const loaded = loadConfig({ PORT: '1', ADMIN_TOKEN_FILE: join(scratch, 'good') })
  expect(loaded).toMatchObject({
    ok: true,
    config: { adminToken: TOKEN },
    sources: { port: 'environment', host: 'default', adminToken: 'file' },
  })
})

test('an admin token given twice is refused', () => {
  expect(problems({ ADMIN_TOKEN: TOKEN, ADMIN_TOKEN_FILE: join(scratch, 'good') })).toEqual([
    'ADMIN_TOKEN and ADMIN_TOKEN_FILE are both set; keep one of them.',
  ])
})

test('a secret key given twice is refused', () => {
  expect(problems({ SECRET_KEY, SECRET_KEY_FILE: join(scratch, 'key') })).toEqual([
    'SECRET_KEY and SECRET_KEY_FILE are both set; keep one of them.',
  ])
})

test('what describes the upstream of the environment is refused without its URL', () => {
  expect(problems({ UPSTREAM_API_KEY: 'sk-abc', UPSTREAM_MOUNT: '/v2', PORT: 'abc' })).toEqual([
    'PORT must be a whole number from 0 to 65535.',
    'UPSTREAM_API_KEY is set, but UPSTREAM_BASE_URL is not.',
    'UPSTREAM_MOUNT is set, but UPSTREAM_BASE_URL is not.',
  ])
})

test('a misspelled name is refused with the name that was meant', () => {
  const misspelled: Record<string, string> = {
    LOG_LEVLE: 'LOG_LEVEL',
    ADMIN_TOKENS: 'ADMIN_TOKEN',
    DATABASE_URI: 'DATABASE_URL',
    DATADIR: 'DATA_DIR',
    proxy_egress: 'PROXY_EGRESS',
    PROXY_TIMEOUT_S: 'PROXY_TIMEOUT_MS',
  }
  for (const [name, meant] of Object.entries(misspelled)) {
    expect(problems({ [name]: 'x' })).toEqual([`${name} is not a setting; did you mean ${meant}?`])
    expect(problems({ [name]: '' })).toEqual([])
  }
})

test('names that belong to others are neither problems nor warnings', () => {
  const proxies = ['HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY', 'NO_PROXY']
  const names = [
    ...proxies,
    ...proxies.map((name) => name.toLowerCase()),
    ...['PATH', 'HOME', 'HOSTNAME', 'POST', 'HOSTS', 'TZ', 'LANG', 'NODE_ENV', 'KUBERNETES_PORT'],
  ]
  const loaded = loadConfig(Object.fromEntries(names.map((name) => [name, 'x'])))
  expect(loaded).toMatchObject({ ok: true, warnings: [] })
})

test('names that Kubernetes sets for a service called quota-proxy only warn', () => {
  const loaded = loadConfig({
    QUOTA_PROXY_PORT: 'tcp://10.0.0.1:8787',
    QUOTA_PROXY_SERVICE_HOST: '10.0.0.1',
    QUOTA_PROXY_EGRESS: 'off',
    QUOTA_LOG_LEVEL: 'debug',
    QUOTA_PROXY_EMPTY: '',
  })
  expect(loaded).toMatchObject({ ok: true, config: load({}) })
  expect(loaded.warnings).toEqual([
    'QUOTA_PROXY_PORT is not a setting and is ignored. Did you mean PORT?',
    'QUOTA_PROXY_SERVICE_HOST is not a setting and is ignored.',
    'QUOTA_PROXY_EGRESS is not a setting and is ignored. Did you mean PROXY_EGRESS?',
    'QUOTA_LOG_LEVEL is not a setting and is ignored. Did you mean LOG_LEVEL?',
  ])
})

test('problems and warnings never hold a value, under whatever name it was set', () => {
  const canary = '~CANARY~ with a space'
  const names = [...ROWS.map(([, { env }]) => env), 'LOG_LEVLE', 'QUOTA_PROXY_PORT', 'PATH']
  fc.assert(
    fc.property(fc.subarray(names, { minLength: 1 }), (chosen) => {
      const loaded = loadConfig(Object.fromEntries(chosen.map((name) => [name, canary])))
      const sentences = [...(loaded.ok ? [] : loaded.problems), ...loaded.warnings]
      expect(sentences.join('\n')).not.toContain('CANARY')
    }),
  )
})

test('the admin token is in no output of the config command', async () => {
  const path = scratchFile('secret', TOKEN)
  for (const env of [{ ADMIN_TOKEN: TOKEN }, { ADMIN_TOKEN_FILE: path }]) {
    for (const args of [[], ['--json']]) {
      const printed = await runConfig({ ...env, QUOTA_ADMIN_TOKEN: TOKEN }, ...args)
      expect(printed.code).toBe(0)
      expect(printed.out).toContain('(set, hidden)')
      expect(printed.out + printed.err).not.toContain(TOKEN)
    }
  }
  const refused = await runConfig({ ADMIN_TOKEN: `${TOKEN} and more`, PORT: TOKEN }, '--json')
  expect(refused.code).toBe(2)
  expect(refused.out + refused.err).not.toContain(TOKEN)
})

test('neither the secret key nor the credential of an upstream is in any output of the config command', async () => {
  const env = { SECRET_KEY, UPSTREAM_API_KEY: TOKEN, UPSTREAM_BASE_URL: 'https://example.com' }
  for (const args of [[], ['--json']]) {
    const { code, out, err } = await runConfig(env, ...args)
    expect(code).toBe(0)
    expect(out.split('(set, hidden)')).toHaveLength(3)
    for (const secret of [SECRET_KEY, TOKEN]) expect(out + err).not.toContain(secret)
  }
})

test('the password of a database is in no output of the config command, and the rest of its URL is', async () => {
  const at = 'db.example.org:5433,other.example.org/quota?sslmode=require'
  for (const scheme of ['postgres', 'postgresql']) {
    const env = { DATABASE_URL: `${scheme}://user:hunter2%40@${at}` }
    for (const args of [[], ['--json'], ['DATABASE_URL']]) {
      const { code, out, err } = await runConfig(env, ...args)
      expect(code).toBe(0)
      expect(out.replace(/\s+/g, '')).toContain(`${scheme}://user:***@`)
      expect(out + err).not.toContain('hunter2')
    }
  }
  const refused = await runConfig({ DATABASE_URL: `postgres://user:hunter2@host` })
  expect(refused.out + refused.err).not.toContain('hunter2')
})

test('the config command shows every option with its value and source', async () => {
  const env = { PORT: '9000', PROXY_EGRESS_ALLOW: '10.0.0.1:80,[::1]' }
  const table = (await runConfig(env)).out
  for (const [, { env: name, sentence }] of ROWS) {
    expect(table).toMatch(new RegExp(`^${name} .*`, 'm'))
    expect(table).toContain(sentence)
  }
  expect(table).toMatch(/^PORT +9000 +environment {2}/m)
  expect(table).toMatch(/^ADMIN_TOKEN +\(not set\) +default {2}/m)
  expect(table).toMatch(/^PROXY_EGRESS_ALLOW +10\.0\.0\.1:80, \[::1\] +environment {2}/m)

  const { settings } = JSON.parse((await runConfig(env, '--json')).out)
  expect(settings).toHaveLength(ROWS.length)
  expect(settings.find(({ name }: { name: string }) => name === 'PORT')).toEqual({
    name: 'PORT',
    value: 9000,
    source: 'environment',
    description: OPTIONS.port.sentence,
  })
})

test('the documentation has one row for every option', () => {
  const markdown = renderConfigurationMarkdown()
  const rows = markdown.split('\n').filter((line) => line.startsWith('| `'))
  expect(rows).toHaveLength(ROWS.length)
  for (const [index, [, option]] of ROWS.entries()) {
    expect(rows[index]).toStartWith(`| \`${option.env}\` | ${option.kind.name} | `)
    expect(rows[index]).toEndWith(` | ${option.sentence} |`)
    expect(rows[index]?.split('|')).toHaveLength(7)
  }
})

test('secrets have no default', () => {
  const secrets = ROWS.filter(([, option]) => option.secret)
  expect(secrets.map(([field]) => field)).toEqual([
    'metricsToken',
    'adminToken',
    'secretKey',
    'upstreamApiKey',
    'backupS3SecretAccessKey',
  ] satisfies Field[])
  for (const [, option] of secrets) expect(option.default).toBeUndefined()
})

test('edit distance is a metric', () => {
  const name = fc.string({ unit: fc.constantFrom('A', 'B', '_'), maxLength: 8 })
  fc.assert(
    fc.property(name, name, name, (a, b, c) => {
      expect(editDistance(a, b) === 0).toBe(a === b)
      expect(editDistance(a, b)).toBe(editDistance(b, a))
      expect(editDistance(a, c)).toBeLessThanOrEqual(editDistance(a, b) + editDistance(b, c))
    }),
  )
  expect(editDistance('kitten', 'sitting')).toBe(3)
  expect(editDistance('', 'abc')).toBe(3)
})

test('a value in quotes, as files for docker run --env-file keep them, is refused wherever it comes from, unseen', () => {
  const secrets: Record<string, string> = {
    UPSTREAM_API_KEY: 'sk-abcdefghijklmnop', ADMIN_TOKEN: TOKEN, METRICS_TOKEN: `${TOKEN}1`, SECRET_KEY,
    BACKUP_S3_SECRET_ACCESS_KEY: 'abcdefgh',
  } // biome-ignore format: a table
  const others = { UPSTREAM_BASE_URL: 'https://api.openai.com/v1', PORT: '80', DATA_DIR: '/data', KEY_PREFIX: 'trial_' }
  const rest = { ...S3, UPSTREAM_BASE_URL: others.UPSTREAM_BASE_URL }
  for (const [name, value] of Object.entries({ ...secrets, ...others }))
    for (const quote of ['"', "'", '`']) {
      const found = problems({ ...rest, [name]: `${quote}${value}${quote}` })
      expect(found).toContain(`${name} must not stand in quotes.`)
      expect(found.join()).not.toContain(value)
    }
  for (const [name, value] of Object.entries(secrets)) {
    const halves = [`"${value}`, `${value}'`, `"${value}'`].map((half) => problems({ ...rest, [name]: half }))
    expect(halves.flat().join()).not.toContain('in quotes')
  }
  const file = scratchFile('quoted', `'${TOKEN}'\n`)
  expect(problems({ ADMIN_TOKEN_FILE: file })).toEqual([
    'ADMIN_TOKEN_FILE names a file whose content must not stand in quotes.',
  ])
  // A file of settings is read with its quotes taken off.
  const settings = scratchFile('settings', `ADMIN_TOKEN="${TOKEN}"\n`)
  expect(load({ CONFIG_FILE: settings }).adminToken).toBe(TOKEN)
}) // biome-ignore format: long lines
