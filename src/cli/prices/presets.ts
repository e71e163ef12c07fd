/**
 * The prices of common upstreams as their vendors publish them, which ship with the program: each with the page and the day
 * that they were read. They are proposed, and only a command of the operator enters them.
 */
import { scaled } from '../../lib/text/decimal.ts'
import { Misuse } from '../session.ts'
import type { ApiPrice } from './money.ts'
import data from './presets.json' with { type: 'json' }

export type Preset = {
  readonly name: string
  readonly vendor: string
  readonly currency: string
  /** The day of the list. */
  readonly as_of: string
  /** The vendor's page. */
  readonly source: string
  readonly prices: readonly ApiPrice[]
}

export function listPresets(): readonly Preset[] {
  return data.map(({ hosts: _, prices, ...preset }) => ({
    ...preset,
    prices: prices.map((price) => micros(price) as ApiPrice),
  }))
}

export function findPreset(name: string): Preset {
  const presets = listPresets()
  const preset = presets.find((one) => one.name === name)
  if (preset) return preset
  const names = presets.map((one) => one.name).join(', ')
  throw new Misuse(`There is no preset ${name}. There are: ${names}.`)
}

/** The one for calls to this base URL; null if none is known. */
export function presetFor(baseUrl: string): string | null {
  const host = URL.parse(baseUrl)?.hostname ?? ''
  return data.find(({ hosts }) => hosts.includes(host))?.name ?? null
}

/** The file has money as decimals, as the vendors' pages have. */
function micros(prices: object): object {
  return Object.fromEntries(
    Object.entries(prices).map(([name, value]: [string, unknown]) => {
      if (typeof value === 'object' && value !== null) return [name, micros(value)]
      return [name, typeof value === 'string' && name !== 'model' ? scaled(value, 6) : value]
    }),
  )
}
