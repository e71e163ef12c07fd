/**
 * The code of an error of the system or of SQLite, such as `ENOENT` or `SQLITE_FULL`; empty if it
 * has none.
 */
export function errorCode(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : ''
}
