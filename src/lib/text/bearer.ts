/** The token of an `Authorization: Bearer` field (RFC 6750 section 2.1), or null. The scheme's name is case-insensitive (RFC 9110 section 11.1). */
export function bearer(value: string | null): string | null {
  return (value && /^bearer +(\S+) *$/i.exec(value)?.[1]) || null
}
