/** Answers questions about keys, whichever module asks them. */

import { refOf } from '../../domain/key/secret.ts'
import type { KeyFilter, KeyPage, KeyReader, KeyRecord, Page } from '../../domain/key.ts'
import { AppError } from '../../errors.ts'
import { showPage } from '../../http/pagination.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Key } from './model.ts'
import { show, showAdjustment } from './show.ts'

export type KeyQueries = ReturnType<typeof createKeyQueries>

export function createKeyQueries(reader: KeyReader, clock: Clock) {
  /** Throws `key_not_found`. */
  async function find(idOrKey: string): Promise<KeyRecord> {
    return must(await reader.find(refOf(idOrKey), clock()))
  }

  /** Of a key that may be deleted by now, by its id. Throws `key_not_found`. */
  async function findEver(idOrKey: string): Promise<KeyRecord> {
    const ref = refOf(idOrKey)
    return must(
      'id' in ref ? await reader.findEver(ref.id, clock()) : await reader.find(ref, clock()),
    )
  }

  return {
    find,
    findEver,

    get: async (idOrKey: string): Promise<Key> => show(await find(idOrKey), clock()),

    /** The records of a page, for a caller that shows them in its own way. */
    page: (filter: KeyFilter, page: Page): Promise<KeyPage> => reader.list(filter, page, clock()),

    async list(filter: KeyFilter, page: Page) {
      const at = clock()
      const found = await reader.list(filter, page, at)
      return showPage(found.keys, found.more, (record) => show(record, at))
    },

    async adjustments(idOrKey: string, page: Page) {
      const { seq, id } = await find(idOrKey)
      const found = await reader.adjustments(seq, page)
      return showPage(found.adjustments, found.more, (one) => showAdjustment(one, id))
    },
  }
}

/** Throws `key_not_found`. */
export function must(record: KeyRecord | null): KeyRecord {
  if (record) return record
  throw new AppError(
    'key_not_found',
    'There is no such key. Give the id (key_…) or the whole key; GET /admin/keys lists them.',
  )
}
