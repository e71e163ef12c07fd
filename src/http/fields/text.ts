/** Text in schemas of the admin API. */
import { t } from 'elysia'
import { FormatRegistry } from 'elysia/type-system'

type Options = Omit<NonNullable<Parameters<typeof t.String>[0]>, 'format'>

/**
 * Text that fits a pattern. TypeBox's own patterns and lengths count an emoji as two characters
 * (TypeBox 0.34), JSON Schema counts it as one; only the formats of TypeBox are free to do so too.
 */
export function text(pattern: string, options: Options = {}) {
  return checked(new RegExp(pattern, 'u'), { ...options, documented: { pattern } })
}

/** Any text from `minLength` to `maxLength` characters. */
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
