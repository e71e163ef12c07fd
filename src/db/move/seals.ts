/** Whether the secret key at hand opens what was sealed: credentials are copied as they are, and another key would lose them. */
import type { Sealer } from '../../lib/seal.ts'
import { createUpstreamSecrets } from '../upstream-secrets.ts'
import type { Cursor, Page, Reader } from './ports.ts'
import { place, tableNamed } from './tables.ts'

/** Rejects with an AppError that names the first upstream whose credential would be lost. */
export async function refuseLost(source: Reader, sealer: Sealer): Promise<void> {
  const secrets = createUpstreamSecrets(sealer)
  const table = tableNamed('upstreams')
  const [name, credential] = [place(table, 'name'), place(table, 'credential')]
  let after: Cursor | null = null
  do {
    const page: Page = await source.page(table, after)
    for (const row of page.rows)
      secrets.open({ name: String(row[name]), credential: row[credential] as string | null })
    after = page.next
  } while (after !== null)
}
