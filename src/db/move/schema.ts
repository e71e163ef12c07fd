/** Whether a database that is there has the schema of this binary, and what to do otherwise. Pure. */
import type { MigrationView } from '../store.ts'

/** Null if all is well. A target is brought to the schema by the move itself, a source is never changed. */
export function schemaProblem(
  name: string,
  views: readonly MigrationView[],
  role: 'source' | 'target',
): string | null {
  const strange = views.find(({ state }) => state === 'unknown' || state === 'changed')
  if (strange)
    return `${name} has a schema that this binary does not know (its migration "${strange.name}"). Use the version that wrote it, or a newer one.`
  if (role === 'target' || views.every(({ state }) => state === 'applied')) return null
  return `${name} has the schema of an older version. Run "quota-proxy migrate" with DATABASE_URL set to it, and try again.`
}

/** Whether a database is none of ours, or has no tables yet. */
export function isBare(views: readonly MigrationView[]): boolean {
  return views.every(({ state }) => state === 'pending')
}
