/** Decimal numbers as they are written, made whole without floating point. Pure; never throws. */

/** As JSON writes numbers (RFC 8259 section 6). */
const DECIMAL = /^(-?)(\d{1,200})(?:\.(\d{1,200}))?(?:[eE]([+-]?\d{1,9}))?$/

/** 10^16 is no whole number that can be counted, and no further power is. */
const DIGITS_MAX = 16

/**
 * The number times ten to the power, such as 1500 for `1.5e-1` and 4. `inexact` if that is no whole number, `large` if it
 * cannot be counted; null if the text is no decimal number, or less than zero.
 */
export function scaled(text: string, power: number): number | 'inexact' | 'large' | null {
  const [, minus, whole = '', fraction = '', exponent = '0'] = DECIMAL.exec(text) ?? ['', '-']
  const all = (whole + fraction).replace(/^0+/, '')
  const digits = all.replace(/0+$/, '')
  if (whole === '' || (minus === '-' && digits !== '')) return null
  if (digits === '') return 0
  const zeros = Number(exponent) - fraction.length + (all.length - digits.length) + power
  if (zeros < 0) return 'inexact'
  if (digits.length + zeros > DIGITS_MAX) return 'large'
  const value = Number(digits + '0'.repeat(zeros))
  return Number.isSafeInteger(value) ? value : 'large'
}

/** So many millionths, with two decimals at least: 1500000 is `1.50`. */
export function millionths(value: number): string {
  const digits = String(Math.abs(value)).padStart(7, '0')
  const decimals = digits.slice(-6).replace(/0{1,4}$/, '')
  return `${value < 0 ? '-' : ''}${digits.slice(0, -6)}.${decimals}`
}
