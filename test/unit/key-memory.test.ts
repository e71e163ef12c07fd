/** What is remembered of keys. */
import { expect, test } from 'bun:test'
import type { Credential } from '../../src/domain/key.ts'
import { createKeyMemory } from '../../src/proxy/key-memory.ts'

const key = (id: string): Credential => ({
  ...{
    seq: 1,
    id,
    name: '',
    revision: 1,
    enabled: true,
    expiresAt: null,
    concurrency: null,
    scope: null,
  },
  ...{ reserveMax: null, limitedUnits: [] },
})

test('no more keys are remembered than the bound says: the one read longest ago goes', async () => {
  const memory = createKeyMemory(async () => key('key_1'), 2)
  for (const raw of ['a', 'b', 'a', 'c']) await memory.read(raw)
  expect(['a', 'b', 'c'].map((raw) => memory.recall(raw)?.id)).toEqual([
    'key_1',
    undefined,
    'key_1',
  ])
})

test('a key that the store no longer has is forgotten', async () => {
  let found: Credential | null = key('key_1')
  const memory = createKeyMemory(async () => found)
  await memory.read('a')
  expect(memory.recall('a')?.id).toBe('key_1')
  found = null
  expect(await memory.read('a')).toBeNull()
  expect(memory.recall('a')).toBeNull()
})
