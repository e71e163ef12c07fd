/**
 * Text that can stand in logs, tables and pages as it is: without control characters and line
 * separators.
 */
const PRINTABLE = '[^\\u0000-\\u001f\\u007f-\\u009f\\u2028\\u2029]'

/**
 * The pattern of a whole text of `min` to `max` printable characters after `start`, which is a
 * pattern too. Compile it with the flag `u`, so that an emoji counts as one character.
 */
export function printable(min: number, max: number, start = ''): string {
  return `^${start}${PRINTABLE}{${min},${max}}$`
}
