/**
 * The lines of a batch's results: each holds the answer to one request, by its `custom_id`, and all are added up.
 *
 * https://platform.openai.com/docs/api-reference/batch/request-output (2026-11-28)
 */
import { own } from '../../../lib/json/object.ts'
import { at, type Dialect, nameOf } from '../dialect.ts'
import { readUsageObject } from './usage.ts'

export const BATCH: Dialect = {
  shape: { custom_id: true, response: { body: { usage: true } } },
  members: ['custom_id'],
  signs: ['usage'],
  piece(answer) {
    const name = nameOf(own(answer, 'custom_id'))
    const said = readUsageObject(at(answer, ['response', 'body', 'usage']))
    return name !== null && said ? { name, said } : null
  },
}
