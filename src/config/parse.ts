/**
 * Turns the text of one setting into a value, or says what it must be. A problem never holds the
 * text itself: a secret set under the wrong name must not reach a screen or a log.
 */
import { isIP } from 'node:net'
import { formatDatabaseUrl, parseDatabaseUrl } from '../domain/database-url.ts'
import { isPrefix, PREFIX_RULE } from '../domain/key/secret.ts'
import { CURRENCY, isTimeZone } from '../domain/limit.ts'
import { checkAdminToken } from '../domain/operator-secrets.ts'
import { canonicalNetwork } from '../lib/network.ts'
import { invalid, type Parsed, valid } from '../lib/text/parsed.ts'

/** A kind of setting: how the documentation names it, and how its text is read. */
export type Kind<T> = {
  readonly name: string
  readonly parse: (text: string) => Parsed<T>
}

const BYTES_PER_UNIT: Readonly<Record<string, number>> = {
  '': 1,
  kib: 1024,
  mib: 1024 ** 2,
  gib: 1024 ** 3,
}

export function integer(min: number, max: number, unit = 'whole number'): Kind<number> {
  return {
    name: `${unit} from ${min} to ${max}`,
    parse: (text) => {
      const value = /^\d+$/.test(text) ? Number(text) : Number.NaN
      if (value >= min && value <= max) return valid(value)
      return invalid(`must be a whole number from ${min} to ${max}.`)
    },
  }
}

export function bytes(min: number, max: number): Kind<number> {
  return {
    name: 'bytes, or a size such as `512KiB` or `10MiB`',
    parse: (text) => {
      const [, digits, unit = ''] = /^(\d+) ?([KMG]iB)?$/i.exec(text) ?? []
      const value = Number(digits) * (BYTES_PER_UNIT[unit.toLowerCase()] ?? Number.NaN)
      if (value >= min && value <= max) return valid(value)
      return invalid(
        `must be a number of bytes from ${min} to ${max}, plain or as KiB, MiB or GiB, for example 10MiB.`,
      )
    },
  }
}

export function oneOf<const T extends string>(...choices: readonly T[]): Kind<T> {
  return {
    name: choices.map((choice) => `\`${choice}\``).join(', '),
    parse: (text) => {
      const value = choices.find((choice) => choice === text.toLowerCase())
      return value === undefined
        ? invalid(`must be one of ${choices.join(', ')}.`)
        : valid<T>(value)
    },
  }
}

export const address: Kind<string> = {
  name: 'IP address or host name',
  parse: (text) => {
    const bare = text.replace(/^\[(.*)\]$/, '$1')
    const isName = /^[a-z0-9_-]+(\.[a-z0-9_-]+)*$/i.test(bare) && !/(^|\.)\d+$/.test(bare)
    if (isIP(bare) !== 0 || isName) return valid(bare)
    return invalid(
      'must be an IP address or a host name, without a scheme or port; 0.0.0.0 is every IPv4 interface.',
    )
  },
}

/** An IPv6 address in it is without brackets. */
export type ListenAddress = { readonly host: string; readonly port: number }

export const listenAddress: Kind<ListenAddress> = {
  name: '`host:port`',
  parse: (text) => {
    const [, host = '', digits] = /^(.+):(\d{1,5})$/.exec(text) ?? []
    const bare = address.parse(host)
    const port = integer(0, 65_535).parse(digits ?? '')
    // Without brackets nobody could tell where an IPv6 address ends.
    if (!bare.ok || !port.ok || (isIP(host) === 6 && !host.startsWith('[')))
      return invalid('must be an address and a port, such as 127.0.0.1:9464 or [::1]:9464.')
    return valid({ host: bare.value, port: port.value })
  },
}

export const oneWord: Kind<string> = {
  name: 'text without white space',
  parse: (text) =>
    /^[\x21-\x7e]+$/.test(text)
      ? valid(text)
      : invalid('must be visible ASCII characters without white space.'),
}

/** Addresses and networks in one spelling each. */
export const networks: Kind<readonly string[]> = {
  name: 'list of addresses and networks such as `10.0.0.0/8`, with commas',
  parse: (text) => {
    if (text === '') return valid([])
    const read = text.split(',').map((entry) => canonicalNetwork(entry.trim()))
    const wrong = read.indexOf(null) + 1
    if (wrong > 0)
      return invalid(
        `cannot be read: entry ${wrong} must be an address or a network like 10.0.0.0/8.`,
      )
    const list = read.filter((entry) => entry !== null)
    return list.some((entry) => entry.endsWith('/0'))
      ? invalid('must not hold every address (/0): anybody could then pass for anybody.')
      : valid(list)
  },
}

export const file: Kind<string> = { name: 'path', parse: (text) => valid(text) }

export const directory: Kind<string> = {
  name: 'path',
  parse: (text) => {
    const path = text.replace(/\/+$/, '')
    return path === '' ? invalid('must be a directory of its own, not /.') : valid(path)
  },
}

/** The value is `:memory:`, `file:` and a plain path, or a `postgres://` URL. */
export const databaseUrl: Kind<string> = {
  name: '`file:` and a path, `postgres://…`, or `:memory:`',
  parse: (text) => {
    const parsed = parseDatabaseUrl(text)
    return parsed.ok ? valid(formatDatabaseUrl(parsed.value)) : parsed
  },
}

export const adminToken: Kind<string> = { name: 'secret text', parse: checkAdminToken }

export const timezone: Kind<string> = {
  name: 'IANA time zone',
  parse: (text) =>
    isTimeZone(text) ? valid(text) : invalid('must be an IANA time zone, such as Asia/Shanghai.'),
}

/** Which codes there are changes with the world, so any of this form is taken. */
export const currency: Kind<string> = {
  name: 'ISO 4217 code',
  parse: (text) =>
    CURRENCY.test(text)
      ? valid(text)
      : invalid('must be the three capital letters of a currency in ISO 4217, such as USD or CNY.'),
}

export const keyPrefix: Kind<string> = {
  name: 'lower-case letters, digits and `_`, ending with `_`',
  parse: (text) => (isPrefix(text) ? valid(text) : invalid(`${PREFIX_RULE}.`)),
}
