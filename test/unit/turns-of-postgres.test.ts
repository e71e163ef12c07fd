/** Who of those that ask PostgreSQL gets a connection. */
import { expect, test } from 'bun:test'
import { createTurns } from '../../src/db/postgres/read/turns.ts'
import { OPERATOR } from '../../src/domain/store.ts'

/** Questions that go on until they are told to end; `running` are those that have begun, in that order. */
function createWorld() {
  const turns = createTurns()
  const running: string[] = []
  const ends = new Map<string, (how: 'answer' | 'error') => void>()
  const asked = new Map<string, Promise<unknown>>()
  return {
    running,
    ask(asker: string, name = asker): void {
      const answer = turns.take(asker, () => {
        running.push(name)
        return new Promise((resolve, reject) =>
          ends.set(name, (how) => (how === 'answer' ? resolve(name) : reject(new Error(name)))),
        )
      })
      asked.set(
        name,
        answer.catch(() => {}),
      )
    },
    async end(name: string, how: 'answer' | 'error' = 'answer'): Promise<void> {
      await Promise.resolve()
      ends.get(name)?.(how)
      await asked.get(name)
      running.splice(running.indexOf(name), 1)
      await Promise.resolve()
    },
    begun: () => Promise.resolve().then(() => [...running]),
  }
}

test('one holder has one question answered at a time, in the order in which they were asked', async () => {
  const world = createWorld()
  for (const name of ['a1', 'a2', 'a3']) world.ask('a', name)
  expect(await world.begun()).toEqual(['a1'])
  await world.end('a1')
  expect(await world.begun()).toEqual(['a2'])
  await world.end('a2', 'error')
  expect(await world.begun()).toEqual(['a3'])
})

test('holders take turns, however many questions one of them has', async () => {
  const world = createWorld()
  for (const name of ['a1', 'a2', 'a3']) world.ask('a', name)
  for (const asker of ['b', 'c', 'd']) world.ask(asker)
  expect(await world.begun()).toEqual(['a1', 'b', 'c'])
  await world.end('a1')
  expect(await world.begun()).toEqual(['b', 'c', 'd'])
  await world.end('b')
  expect(await world.begun()).toEqual(['c', 'd', 'a2'])
})

test('neither the operator nor all holders together keep the other from an answer', async () => {
  const holders = createWorld()
  for (const asker of ['a', 'b', 'c', 'd', 'e']) holders.ask(asker)
  holders.ask(OPERATOR)
  expect(await holders.begun()).toEqual(['a', 'b', 'c', OPERATOR])

  const operators = createWorld()
  for (const name of ['o1', 'o2', 'o3', 'o4']) operators.ask(OPERATOR, name)
  operators.ask('a')
  expect(await operators.begun()).toEqual(['o1', 'o2', 'o3', 'a'])
  await operators.end('a')
  expect(await operators.begun()).toEqual(['o1', 'o2', 'o3'])
  await operators.end('o2')
  expect(await operators.begun()).toEqual(['o1', 'o3', 'o4'])
})
