/**
 * Every setting there is, once: its name, kind, default, whether it is secret, and what it does.
 * The type `Config`, the command `quota-proxy config` and docs/configuration.md are made from this
 * table, so that none of them can know a setting that the others do not.
 */

import { type EgressAllowEntry, parseEgressAllow } from '../domain/egress.ts'
import { checkSecretKeys } from '../domain/operator-secrets.ts'
import { BODY_BYTES_MAX, CHARGE_ON, WAIT_MS_MAX } from '../domain/upstream.ts'
import { invalid, valid } from '../lib/text/parsed.ts'
import { ageRecipients, s3Url, schedule } from './backup.ts'
import {
  address,
  adminToken,
  bytes,
  currency,
  databaseUrl,
  directory,
  file,
  integer,
  type Kind,
  keyPrefix,
  listenAddress,
  networks,
  oneOf,
  oneWord,
  timezone,
} from './parse.ts'
import { baseUrl, mount, secret } from './upstream.ts'

export type Option = {
  /** The environment variable, and the name in the configuration file. */
  readonly env: string
  readonly kind: Kind<unknown>
  /** The text that stands for a missing one; `<DATA_DIR>` in it is replaced. */
  readonly default: string | undefined
  /** A secret is never shown, whatever asks for it. */
  readonly secret?: true
  /** A change counts after the next start. Changes of the other settings count after a reload. */
  readonly restart?: true
  readonly sentence: string
}

const egressAllow: Kind<readonly EgressAllowEntry[]> = {
  name: 'list of `host` or `host:port`, with commas',
  parse: (text) => {
    const list = parseEgressAllow(text)
    return list.ok ? valid(list.entries) : invalid(`cannot be read: ${list.problem}.`)
  },
}

const secretKeys: Kind<readonly string[]> = {
  name: '32 bytes as base64 or hexadecimal',
  parse: checkSecretKeys,
}

/** Room for one answer that waits for its client, and for one more. */
const BUFFER_BYTES_MIN = 4 * 1024 ** 2

/** A century; past it a number is a typing error. */
const DAYS_MAX = 36_500

export const OPTIONS = {
  configFile: {
    env: 'CONFIG_FILE',
    kind: file,
    default: undefined,
    restart: true,
    sentence:
      'File of settings, a `NAME=value` on each line, read again on SIGHUP and when it changes; what the environment sets wins over it.',
  },
  port: {
    env: 'PORT',
    kind: integer(0, 65_535),
    default: '8787',
    restart: true,
    sentence: 'Port to listen on; `0` picks a free one.',
  },
  host: {
    env: 'HOST',
    kind: address,
    default: '127.0.0.1',
    restart: true,
    sentence:
      'Address to listen on; `0.0.0.0` is every IPv4 interface, which is what a container needs.',
  },
  trustedProxies: {
    env: 'TRUSTED_PROXIES',
    kind: networks,
    default: '',
    sentence:
      'Reverse proxies in front of this server, whose `X-Forwarded-For` says who the client is; from anybody else the header is ignored.',
  },
  tlsCertFile: {
    env: 'TLS_CERT_FILE',
    kind: file,
    default: undefined,
    sentence:
      'Certificate and the chain that leads to its root, as PEM: the server then speaks HTTPS only. Read again when it changes.',
  },
  tlsKeyFile: {
    env: 'TLS_KEY_FILE',
    kind: file,
    default: undefined,
    sentence: 'Private key of the certificate, as PEM.',
  },
  adminListen: {
    env: 'ADMIN_LISTEN',
    kind: listenAddress,
    default: undefined,
    restart: true,
    sentence:
      'Listens on this address too, and serves `/admin`, `/metrics` and `/swagger` only there.',
  },
  metricsListen: {
    env: 'METRICS_LISTEN',
    kind: listenAddress,
    default: undefined,
    restart: true,
    sentence:
      'Listens on this address too, for `/metrics` alone, without a token: for a network that only Prometheus can reach.',
  },
  metricsToken: {
    env: 'METRICS_TOKEN',
    kind: adminToken,
    default: undefined,
    secret: true,
    sentence: 'Token that opens `/metrics` and nothing else, beside the admin token.',
  },
  metricsKeysMax: {
    env: 'METRICS_KEYS_MAX',
    kind: integer(0, 10_000, 'keys'),
    default: '0',
    sentence:
      'How many keys have series of their own at `/metrics`, by id; later keys are counted together as `other`.',
  },
  dataDir: {
    env: 'DATA_DIR',
    kind: directory,
    default: './data',
    restart: true,
    sentence: 'Directory for everything that must survive a restart; made if it is missing.',
  },
  databaseUrl: {
    env: 'DATABASE_URL',
    kind: databaseUrl,
    default: 'file:<DATA_DIR>/quota.db',
    restart: true,
    sentence:
      'The database: a SQLite file, or `postgres://user:password@host/database` for any number of replicas, which all need the same `SECRET_KEY` and `ADMIN_TOKEN`; `:memory:` forgets everything when the server stops.',
  },
  adminToken: {
    env: 'ADMIN_TOKEN',
    kind: adminToken,
    default: undefined,
    secret: true,
    sentence:
      'Token for `/admin`; without one, the first start makes one and keeps it in `<DATA_DIR>/admin-token`.',
  },
  adminTokenFile: {
    env: 'ADMIN_TOKEN_FILE',
    kind: file,
    default: undefined,
    sentence: 'File that holds the admin token, such as a Docker secret, instead of `ADMIN_TOKEN`.',
  },
  secretKey: {
    env: 'SECRET_KEY',
    kind: secretKeys,
    default: undefined,
    secret: true,
    restart: true,
    sentence:
      'Key that seals the credentials of upstreams in the database; without one, the first credential makes one and keeps it in `<DATA_DIR>/secret-key`. Older keys may follow it, with commas.',
  },
  secretKeyFile: {
    env: 'SECRET_KEY_FILE',
    kind: file,
    default: undefined,
    restart: true,
    sentence:
      'File that holds the secret key, and older ones on further lines, instead of `SECRET_KEY`.',
  },
  upstreamBaseUrl: {
    env: 'UPSTREAM_BASE_URL',
    kind: baseUrl,
    default: undefined,
    restart: true,
    sentence:
      'Makes an upstream named `default` of this URL, such as `https://api.openai.com/v1`; more of them are made with `/admin/upstreams`.',
  },
  upstreamApiKey: {
    env: 'UPSTREAM_API_KEY',
    kind: secret,
    default: undefined,
    secret: true,
    restart: true,
    sentence:
      'Your credential for it, sent as `Authorization: Bearer`, or as `x-api-key` to `api.anthropic.com`.',
  },
  upstreamMount: {
    env: 'UPSTREAM_MOUNT',
    kind: mount,
    default: '/v1',
    restart: true,
    sentence: 'Path of this server under which key holders call it, beside `/u/default`.',
  },
  logLevel: {
    env: 'LOG_LEVEL',
    kind: oneOf('debug', 'info', 'warn', 'error', 'silent'),
    default: 'info',
    sentence: 'The least important line that is still logged.',
  },
  logFormat: {
    env: 'LOG_FORMAT',
    kind: oneOf('auto', 'json', 'pretty'),
    default: 'auto',
    restart: true,
    sentence: 'How a log line looks; `auto` is `pretty` on a terminal and `json` elsewhere.',
  },
  durability: {
    env: 'DURABILITY',
    kind: oneOf('normal', 'full'),
    default: 'normal',
    restart: true,
    sentence:
      'Every answered call and key change survives the death of the process; a power cut may undo the newest ones with `normal`, and none with `full`, which waits for the disk at each commit.',
  },
  chargeOn: {
    env: 'CHARGE_ON',
    kind: oneOf(...CHARGE_ON),
    default: 'answer',
    sentence:
      'Which calls count: every `attempt`; those with an `answer` below 500; or only a `success` (2xx or 3xx).',
  },
  egress: {
    env: 'PROXY_EGRESS',
    kind: oneOf('public', 'listed', 'off'),
    default: 'public',
    sentence:
      'Where `/proxy` may go: any `public` address, only what `PROXY_EGRESS_ALLOW` has `listed`, or nowhere (`off`).',
  },
  egressAllow: {
    env: 'PROXY_EGRESS_ALLOW',
    kind: egressAllow,
    default: '',
    sentence: 'Targets that `/proxy` may reach even at a private address.',
  },
  proxyTimeoutMs: {
    env: 'PROXY_TIMEOUT_MS',
    kind: integer(1, WAIT_MS_MAX, 'milliseconds'),
    default: '600000',
    sentence: 'Longest time for a whole call.',
  },
  proxyIdleTimeoutMs: {
    env: 'PROXY_IDLE_TIMEOUT_MS',
    kind: integer(1, WAIT_MS_MAX, 'milliseconds'),
    default: '120000',
    sentence: 'Longest silence of the upstream, the wait for its first byte included.',
  },
  proxyBodyBytesMax: {
    env: 'PROXY_BODY_BYTES_MAX',
    kind: bytes(1, BODY_BYTES_MAX),
    default: '10MiB',
    sentence:
      'Largest request body that is taken; of one that has to be read whole, at most half of `PROXY_BUFFER_BYTES_MAX`.',
  },
  proxyInFlightMax: {
    env: 'PROXY_IN_FLIGHT_MAX',
    kind: integer(2, 65_000, 'calls'),
    default: '8192',
    sentence:
      'Most calls in flight at once. No key and no upstream may have more of them than are free, so one alone gets half.',
  },
  proxyBufferBytesMax: {
    env: 'PROXY_BUFFER_BYTES_MAX',
    kind: bytes(BUFFER_BYTES_MIN, 1024 ** 4),
    default: '128MiB',
    sentence:
      'Most bytes of bodies held at once: requests that are read whole, uploads that wait for an upstream, answers that wait for a client. No key may hold more of them than are free.',
  },
  callsRetentionDays: {
    env: 'CALLS_RETENTION_DAYS',
    kind: integer(1, DAYS_MAX, 'days'),
    default: '90',
    sentence: 'How long the entry of each call is kept; sums by the hour are kept longer.',
  },
  callsMax: {
    env: 'CALLS_MAX',
    kind: integer(1, Number.MAX_SAFE_INTEGER, 'entries'),
    default: '10000000',
    sentence: 'How many entries are kept at most; the oldest go first.',
  },
  usageRetentionDays: {
    env: 'USAGE_RETENTION_DAYS',
    kind: integer(1, DAYS_MAX, 'days'),
    default: '1830',
    sentence: 'How long the sums by the hour are kept.',
  },
  backupSchedule: {
    env: 'BACKUP_SCHEDULE',
    kind: schedule,
    default: undefined,
    sentence:
      'When to back up, as a cron expression in DEFAULT_TIMEZONE such as `17 3 * * *`; without one, only when told to.',
  },
  backupDir: {
    env: 'BACKUP_DIR',
    kind: directory,
    default: '<DATA_DIR>/backups',
    sentence: 'Directory of the backups; made if it is missing.',
  },
  backupKeep: {
    env: 'BACKUP_KEEP',
    kind: integer(1, 10_000, 'backups'),
    default: '14',
    sentence: 'How many backups are kept at most; the oldest go first.',
  },
  backupKeepDays: {
    env: 'BACKUP_KEEP_DAYS',
    kind: integer(1, DAYS_MAX, 'days'),
    default: '90',
    sentence: 'How long a backup is kept; the newest one stays however old it is.',
  },
  backupAgeRecipients: {
    env: 'BACKUP_AGE_RECIPIENTS',
    kind: ageRecipients,
    default: '',
    sentence:
      'Public keys of age (`age1…`), with commas: backups are encrypted so that only their owners can read them.',
  },
  backupS3Url: {
    env: 'BACKUP_S3_URL',
    kind: s3Url,
    default: undefined,
    sentence: 'Where a copy of each backup is sent, as `s3://bucket` or `s3://bucket/prefix`.',
  },
  backupS3Endpoint: {
    env: 'BACKUP_S3_ENDPOINT',
    kind: baseUrl,
    default: undefined,
    sentence: 'URL of an S3-compatible storage; without one, it is that of Amazon.',
  },
  backupS3Region: {
    env: 'BACKUP_S3_REGION',
    kind: oneWord,
    default: 'us-east-1',
    sentence: 'Region of the bucket.',
  },
  backupS3AccessKeyId: {
    env: 'BACKUP_S3_ACCESS_KEY_ID',
    kind: oneWord,
    default: undefined,
    sentence: 'Who sends the copies.',
  },
  backupS3SecretAccessKey: {
    env: 'BACKUP_S3_SECRET_ACCESS_KEY',
    kind: secret,
    default: undefined,
    secret: true,
    sentence: 'The credential for that.',
  },
  shutdownDelayMs: {
    env: 'SHUTDOWN_DELAY_MS',
    kind: integer(0, WAIT_MS_MAX, 'milliseconds'),
    default: '0',
    sentence:
      'How long new calls are still taken after the signal to stop, while `/readyz` is 503 already: time for a load balancer to notice.',
  },
  shutdownGraceMs: {
    env: 'SHUTDOWN_GRACE_MS',
    kind: integer(0, WAIT_MS_MAX, 'milliseconds'),
    default: '30000',
    sentence:
      'How long calls in flight may still take after the signal to stop, and after that delay.',
  },
  keyPrefix: {
    env: 'KEY_PREFIX',
    kind: keyPrefix,
    default: 'trial_',
    sentence: 'What new keys begin with.',
  },
  defaultTimezone: {
    env: 'DEFAULT_TIMEZONE',
    kind: timezone,
    default: 'UTC',
    sentence:
      'IANA time zone, such as Asia/Shanghai, of limits that are given none, of BACKUP_SCHEDULE, and of days in commands.',
  },
  currency: {
    env: 'CURRENCY',
    kind: currency,
    default: 'USD',
    sentence:
      'Currency of all prices, costs and limits in money, as ISO 4217 writes it, such as CNY. A change renames the money and converts nothing.',
  },
} as const satisfies Record<string, Option>

export type Field = keyof typeof OPTIONS

type ValueOf<O> = O extends { kind: Kind<infer T>; default: infer D }
  ? D extends undefined
    ? T | undefined
    : T
  : never

export type Config = { readonly [F in Field]: ValueOf<(typeof OPTIONS)[F]> }

/** The table as rows, for code that treats every setting alike. */
export const ROWS: readonly (readonly [Field, Option])[] = Object.entries<Option>(OPTIONS).map(
  ([field, option]) => [field as Field, option],
)
