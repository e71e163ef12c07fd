/** Text in schemas of the admin API. */
import { t } from 'elysia'
import { FormatRegistry } from 'elysia/type-system'

/** Any character that can stand in logs, tables and pages: neither control characters nor line separators. */
export const PRINTABLE = '[^\\u0000-\\u001f\\u007f-\\u009f\\u2028\\u2029]'

type Options = Omit<NonNullable<Parameters<typeof t.String>[0]>, 'format'>

/**
 * Text that fits a pattern. JSON Schema counts characters, where TypeBox's own patterns and lengths count an emoji as two
 * (TypeBox 0.34); only its formats are free to do better.
 */
export function text(pattern: string, options: Options = {}) {
  return checked(new RegExp(pattern, 'u'), { ...options, documented: { pattern } })
}

/** Any text of so many characters. */
export function anyText(minLength: number, maxLength: number, options: Options = {}) {
  return checked(new RegExp(`^[^]{${minLength},${maxLength}}$`, 'u'), {
    ...options,
    documented: { minLength, maxLength },
  })
}

let count = 0

function checked(pattern: RegExp, options: Options) {
  count++
  const format = `text-${count}`
  FormatRegistry.Set(format, (value) => pattern.test(value))
  return t.String({ ...options, format })
}
