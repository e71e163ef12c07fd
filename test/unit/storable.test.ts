/** Texts that clients and upstreams make, and that the ledger keeps. */
import { expect, test } from 'bun:test'
import { readDeferred } from '../../src/metering/deferred.ts'
import { NO_REPORT, reckon } from '../../src/metering/reckon.ts'

const ODD = 'a\0b\ud800'
const KEPT = 'a\ufffdb\ufffd'

test('whatever a client or an upstream calls a model, every database can keep it', () => {
  const metering = {
    settings: { kind: 'tokens', outputTokensDefault: 1 },
    ...{ prices: null, model: ODD, hideUsage: false, estimate: null },
  } as const
  const due = { requests: 1, tokens: 1, cost: 0 }
  const modelOf = (model: string | null) => {
    const usage = { model, input: 1, output: 1 }
    const report = { ...NO_REPORT, usage }
    return reckon(due, { status: 200, isWhole: true }, metering, report).metered.model
  }
  expect([modelOf(null), modelOf(ODD), modelOf('gpt-5')]).toEqual([KEPT, KEPT, 'gpt-5'])
})

test('whatever an upstream calls its work, every database can keep it', () => {
  const shown = JSON.stringify({ id: ODD, object: 'response', status: 'completed', usage: {} })
  expect(readDeferred(shown)?.id).toBe(KEPT)
})
