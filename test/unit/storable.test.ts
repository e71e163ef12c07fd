/** Texts that upstreams make, and that the ledger keeps. */
import { expect, test } from 'bun:test'
import { readDeferred } from '../../src/metering/deferred.ts'
import { modelOf } from '../../src/metering/dialects/model.ts'

const ODD = 'a\0b\ud800'

test('whatever an upstream calls its models and its work, every database can keep it', () => {
  expect(modelOf({ model: ODD })).toBe('a\ufffdb\ufffd')
  const shown = JSON.stringify({ id: ODD, object: 'response', status: 'completed', usage: {} })
  expect(readDeferred(shown)?.id).toBe('a\ufffdb\ufffd')
})
