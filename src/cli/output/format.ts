/** Numbers and instants as people read them. */
import { millionths } from '../../lib/text/decimal.ts'

/** `2026-11-22 10:00:00`, in UTC, as the heads of columns say. */
export function time(instant: string | null): string | null {
  return instant === null ? null : instant.replace('T', ' ').replace(/(?:\.\d+)?Z$/, '')
}

export function utc(instant: string | null): string | null {
  return instant === null ? null : `${time(instant)} UTC`
}

export function count(value: number): string {
  return value.toLocaleString('en')
}

export function amount(value: number | null): string {
  return value === null ? 'unlimited' : count(value)
}

const MONEY = new Intl.NumberFormat('en', { minimumFractionDigits: 2, maximumFractionDigits: 6 })

/** Micro-units of money, as money. Formatted from text: a number has too few digits for large amounts. */
export function money(micros: number): string {
  return MONEY.format(millionths(micros) as `${number}`)
}

/** `24 hours`: in the largest of these units that it is whole in. */
export function span(seconds: number): string {
  const [unit, length] = SPANS.find(([, length]) => seconds % length === 0) ?? ['second', 1]
  const units = seconds / length
  return `${count(units)} ${unit}${units === 1 ? '' : 's'}`
}

const SPANS = [
  ['day', 86_400],
  ['hour', 3_600],
  ['minute', 60],
] as const

/** `52.0 kB`. */
export function bytes(value: number): string {
  const power = Math.min(5, Math.floor(Math.log10(Math.max(1, value)) / 3))
  if (power === 0) return `${value} B`
  return `${(value / 1000 ** power).toFixed(1)} ${' kMGTP'.charAt(power)}B`
}
