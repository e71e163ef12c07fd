/** The fields of a key as options. `any`, `none`, `never`, `unlimited` are null in the API. */
import { InvalidArgumentError, Option } from 'commander'
import { WEEK_STARTS, WINDOWS } from '../../domain/limit.ts'
import { systemClock } from '../../lib/clock.ts'
import type { CliCommand } from '../command.ts'
import { fieldsOf, NOTHING, parseJson, readConcurrency, readFields } from '../input.ts'
import { instantOf, secondsOf } from '../instant.ts'
import { Misuse, type Session, settings } from '../session.ts'
import { type GivenLimit, parseAmount, parseLimit } from './limit.ts'

export type FieldOptions = Readonly<Record<string, unknown>> & { readonly fields?: string }

/** By the name of the option. */
const FIELDS = {
  name: 'name', prefix: 'prefix', quota: 'quota', window: 'window', timezone: 'timezone', weekStart: 'week_start',
  expires: 'expires_at', limit: 'limits', concurrency: 'concurrency', upstreams: 'upstreams', methods: 'methods',
  paths: 'paths', models: 'models', ipAllow: 'ip_allow', tag: 'tags', metadata: 'metadata', reserveMax: 'reserve_max',
} // biome-ignore format: one row of names

export function keyFields(command: CliCommand): CliCommand {
  const list = (flags: string, what: string) =>
    command.option(flags, `${what}, with commas; "any" for all`, readList)
  command
    .addOption(new Option('--window <window>', 'how often the quota starts anew').choices(WINDOWS))
    .option('--timezone <zone>', 'IANA time zone of every limit given here; else DEFAULT_TIMEZONE')
    .addOption(new Option('--week-start <day>', 'when weeks begin').choices(WEEK_STARTS))
    .option(
      '--expires <when>',
      'an instant, a day (when it begins in DEFAULT_TIMEZONE), a time from now such as 30d, or "never"',
      readWhen,
    )
    .option(
      '--limit <limit>',
      'a further limit, such as tokens=100000/day or cost=5.50/month@Asia/Shanghai; may be repeated; "none" for no further ones',
      readLimit,
    )
    .option('--concurrency <number>', 'most calls in flight at once, or "none"', readConcurrency)
    .option(
      '--reserve-max <amounts>',
      'most that one call reserves, such as tokens=8000 or tokens=8000,cost=0.05; "none" for no bound',
      readReserveMax,
    )
  list('--upstreams <names>', 'upstreams that may be called')
  list('--methods <methods>', 'HTTP methods that may be used')
  list('--paths <globs>', 'paths that may be called')
  list('--models <globs>', 'models that may be named')
  list('--ip-allow <networks>', 'addresses and networks that calls may come from')
  return command
    .option('--tag <tag>', 'a tag; may be repeated; "none" for no tags', readTag)
    .option('--metadata <json>', 'an object of yours, as JSON', (text) =>
      parseJson(text, '--metadata'),
    )
    .option('--fields <file>', 'further fields of the API, as a JSON object; "-" is standard input')
}

/** The body that the API takes. What is given as an option wins over the same in `--fields`. */
export async function bodyOf(
  session: Pick<Session, 'env'>,
  options: FieldOptions,
): Promise<Readonly<Record<string, unknown>>> {
  const { expires } = options
  const given = {
    ...inZone(options),
    ...(typeof expires === 'string' && {
      expires: expiryOf(expires, settings(session).defaultTimezone),
    }),
  }
  return { ...(await readFields(options.fields)), ...fieldsOf(given, FIELDS) }
}

/** `--timezone` is for every limit of the command that names no zone of its own. */
function inZone({ limit, ...options }: FieldOptions): FieldOptions {
  const { timezone } = options
  if (!Array.isArray(limit)) return options
  const limits = limit.map((one) => ({ ...(timezone !== undefined && { timezone }), ...one }))
  return { ...options, limit: limits }
}

export function readQuota(text: string): number | typeof NOTHING {
  const amount = parseAmount('requests', text)
  if (amount !== undefined) return amount ?? NOTHING
  throw new InvalidArgumentError('It must be a whole number, or "unlimited".')
}

/** Only checked here: a day begins in a zone of the settings. */
function readWhen(text: string): string {
  if (expiryOf(text, 'UTC') !== null) return text
  throw new Misuse(
    '--expires must be an instant such as 2026-12-31T00:00:00Z, a day, a time from now such as 30d or 12h, or "never".',
  )
}

/**
 * When a key ends, as the API takes it, to the second; null if it cannot be read. A day begins in `zone`. Also a cell of
 * `keys import`.
 */
export function expiryOf(text: string, zone: string): string | typeof NOTHING | null {
  if (text === 'never') return NOTHING
  const now = Math.ceil(systemClock() / 1000) * 1000
  return instantOf(text, { now, zone, goes: 1 })
}

export function readSeconds(text: string): number {
  const seconds = secondsOf(text)
  if (seconds !== null) return seconds
  throw new InvalidArgumentError('It must be a duration, such as 90s, 30m, 24h or 7d.')
}

function readList(text: string): readonly string[] | typeof NOTHING {
  if (text === 'any') return NOTHING
  return text
    .split(',')
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '')
}

function readTag(text: string, before: readonly string[] = []): readonly string[] {
  return text === 'none' ? [] : [...before, text]
}

function readLimit(text: string, before: readonly GivenLimit[] = []): readonly GivenLimit[] {
  return text === 'none' ? [] : [...before, parseLimit(text)]
}

/** Also a cell of `keys import`; null if it cannot be read. */
export function parseReserveMax(text: string): Readonly<Record<string, number>> | null {
  const amounts: Record<string, number> = {}
  for (const part of text.split(/[,;]/)) {
    const [, unit, amount = ''] = /^\s*(tokens|cost)=([\d.]+)\s*$/.exec(part) ?? []
    const most = unit === undefined ? undefined : parseAmount(unit, amount)
    if (unit === undefined || unit in amounts || typeof most !== 'number') return null
    amounts[unit] = most
  }
  return amounts
}

function readReserveMax(text: string): Readonly<Record<string, number>> | typeof NOTHING {
  if (text === 'none') return NOTHING
  const amounts = parseReserveMax(text)
  if (amounts) return amounts
  throw new InvalidArgumentError(
    'It must be tokens=8000, cost=0.05 or both with a comma, or "none".',
  )
}
