/** Values that somebody gave, as conditions of PostgreSQL: whatever they are, they are an answer and no error. */
import { type AnyColumn, eq, type SQL, sql } from 'drizzle-orm'

/** One parameter, however many numbers there are, so that the statement is always the same. */
export function numbers(list: readonly number[]): SQL {
  return sql`${sql.param([...list])}::bigint[]`
}

export function isOneOf(column: AnyColumn, list: readonly number[]): SQL {
  return sql`${column} = ANY(${numbers(list)})`
}

/** PostgreSQL refuses to look for a text with U+0000, and keeps none. */
export function isText(column: AnyColumn, text: string): SQL {
  return text.includes('\0') ? sql`false` : eq(column, text)
}

/** In any case of the letters A to Z, whatever the locale of the database. */
export function contains(column: AnyColumn, text: string): SQL {
  if (text.includes('\0')) return sql`false`
  return sql`${column} COLLATE "C" ILIKE ${`%${text.replace(/[\\%_]/g, '\\$&')}%`}`
}

/** Of a list in JSON. */
export function holdsText(column: AnyColumn, text: string): SQL {
  return text.includes('\0') ? sql`false` : sql`${column} ? ${text}`
}
