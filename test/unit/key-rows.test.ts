/** What stands in the cells of `keys import`. */
import { expect, test } from 'bun:test'
import { parseReserveMax } from '../../src/cli/keys/fields.ts'
import { readRows } from '../../src/cli/keys/import/rows.ts'

test('a bound for reservations is read as the option takes it, and what is none is left for the server to refuse', () => {
  const text =
    'name,quota,reserve_max\na,1,tokens=8000\nb,1,tokens=8000; cost=0.05\nc,1,\nd,1,requests=1\n'
  expect(readRows(text, 'x', 'UTC').map(({ body }) => body['reserve_max'])).toEqual([
    { tokens: 8000 },
    { tokens: 8000, cost: 50_000 },
    undefined,
    'requests=1',
  ])
  for (const wrong of [
    '',
    '8000',
    'tokens=',
    'tokens=-1',
    'tokens=1,tokens=2',
    'tokens=1.5',
    'cost=0.0000001',
    'cost=.',
  ])
    expect(parseReserveMax(wrong)).toBeNull()
})
