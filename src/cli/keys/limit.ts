/** Limits as people write them: `tokens=100000/day`, `big:cost=5.50/month@Asia/Shanghai`. */
import { InvalidArgumentError } from 'commander'
import { scaled } from '../../lib/text/decimal.ts'

export type GivenLimit = {
  readonly name?: string
  readonly unit: string
  readonly amount: number | null
  readonly window: string
  readonly timezone?: string
}

const FORM =
  /^(?:(?<name>[a-z0-9-]+):)?(?<unit>[a-z]+)=(?<amount>[a-z0-9.]+)\/(?<window>[a-z]+)(?:@(?<timezone>[A-Za-z0-9_+/-]+))?$/

/** Throws InvalidArgumentError. */
export function parseLimit(text: string): GivenLimit {
  const { name, unit, amount, window, timezone } = FORM.exec(text)?.groups ?? {}
  if (unit === undefined || amount === undefined || window === undefined)
    throw new InvalidArgumentError(
      'It must be unit=amount/window, such as tokens=100000/day or cost=5.50/month@Asia/Shanghai.',
    )
  const units = parseAmount(unit, amount)
  if (units === undefined)
    throw new InvalidArgumentError(
      unit === 'cost'
        ? 'The amount must be money with at most 6 decimals, such as 5.50, or "unlimited".'
        : 'The amount must be a whole number, or "unlimited".',
    )
  return { ...(name && { name }), unit, amount: units, window, ...(timezone && { timezone }) }
}

/** At most 16 digits, without an exponent. */
const WHOLE = /^\d{1,16}$/
const MONEY = /^\d{1,10}(?:\.\d{1,6})?$/

/** Units of the API, which counts money in millionths. Null is unlimited, undefined is no amount. */
export function parseAmount(unit: string | undefined, text: string): number | null | undefined {
  if (text === 'unlimited') return null
  const [form, power] = unit === 'cost' ? [MONEY, 6] : [WHOLE, 0]
  const units = form.test(text) ? scaled(text, power) : null
  return typeof units === 'number' ? units : undefined
}

/** More or fewer units, as `parseAmount` reads them. */
export function parseCredit(unit: string, text: string): number | undefined {
  const [, sign, rest = ''] = /^([+-]?)(\d.*)$/.exec(text) ?? []
  const units = parseAmount(unit, rest)
  return typeof units === 'number' ? (sign === '-' ? -units : units) : undefined
}

/** How the API names a limit that was given no name. */
export function nameOfLimit({ name, unit, window }: GivenLimit): string {
  return name ?? `${unit}-${window}`
}
