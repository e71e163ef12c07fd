/** Sums of the hourly rollups, as they are shown. */
import { integer } from '../../http/fields/integer.ts'

export const sums = {
  calls: integer({ description: 'Calls that were let through.' }),
  failed: integer({ description: 'Of these, the ones without an answer below 500.' }),
  requests: integer({ description: 'Requests charged.' }),
  tokens: integer(),
  cost: integer({ description: 'Micro-units of money.' }),
  bytes_in: integer(),
  bytes_out: integer(),
}
