/** Whether the secret key at hand opens what was sealed: credentials are copied as they are, and another key would lose them. */
import type { Sealer } from '../../lib/seal.ts'
import { type Cursor, MoveRefused, type Reader } from './ports.ts'
import { place, tableNamed } from './tables.ts'

export async function refuseLost(source: Reader, sealer: Sealer): Promise<void> {
  const table = tableNamed('upstreams')
  const [name, credential] = [place(table, 'name'), place(table, 'credential')]
  let after: Cursor | null = null
  do {
    const page = await source.page(table, after)
    for (const row of page.rows) refuseLostOf(String(row[name]), row[credential], sealer)
    after = page.next
  } while (after !== null)
}

function refuseLostOf(name: string, sealed: unknown, sealer: Sealer): void {
  if (typeof sealed !== 'string') return
  const opened = sealer.open(sealed, `upstreams.credential:${name}`)
  if (opened.ok) return
  throw new MoveRefused(`The credential of the upstream "${name}" cannot be opened. ${opened.message}`)
}
