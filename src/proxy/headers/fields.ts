/** What the headers of both directions share. */

/**
 * Header fields by lower-case name. A plain object without a prototype: building the platform's Headers, only to have them
 * taken apart again, would cost a call more than its charge does.
 */
export type Fields = Record<string, string>

export function noFields(): Fields {
  return Object.create(null) as Fields
}

/** RFC 9110 section 7.6.1: fields that Connection names go no further than it does. Null if it names none. */
export function connectionNominated(connection: string | undefined): string[] | null {
  if (connection === undefined) return null
  return connection
    .toLowerCase()
    .split(',')
    .map((name) => name.trim())
}

/** How this proxy is called in Via: RFC 9110 section 7.6.3 allows a pseudonym for the host. */
export const VIA = '1.1 quota-proxy'
