/** The code that the system or SQLite gives to what went wrong, such as `ENOENT` or `SQLITE_FULL`; empty if there is none. */
export function errorCode(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : ''
}
