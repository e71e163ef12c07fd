/** Who asks takes turns with the others who ask. */
import { expect, test } from 'bun:test'
import { createTurns, TOO_LONG } from '../../src/db/sqlite/read/turns.ts'
import { ANSWER_MS_MAX } from '../../src/db/waiting-room.ts'
import { errorCode } from '../../src/lib/error-code.ts'

/** Turns that go on when the test says so, a step a slice. */
function createWorld() {
  const ended: string[] = []
  const world = { now: 0, goOn: () => {}, ended, add }
  const turns = createTurns(
    0,
    (goOn) => {
      world.goOn = goOn
    },
    () => world.now,
  )
  function add(asker: string, query: string, steps: number) {
    function* work(): Generator<undefined, string, undefined> {
      for (let i = 1; i < steps; i++) yield
      return query
    }
    const failed = (error: unknown) => ended.push(`${query}: ${errorCode(error)}`)
    turns.add(asker, work(), () => ended.push(query), failed)
  }
  return world
}

test('who asks a hundred questions holds up nobody who asks one', () => {
  const world = createWorld()
  for (let i = 0; i < 100; i++) world.add('many', `many-${i}`, 3)
  world.add('one', 'one', 3)
  for (let i = 0; i < 6; i++) world.goOn()
  expect(world.ended).toEqual(['many-0', 'one'])
})

test('a long question holds up no short one of somebody else', () => {
  const world = createWorld()
  world.add('long', 'long', 1_000)
  world.goOn()
  world.add('short', 'short', 1)
  for (let i = 0; i < 2; i++) world.goOn()
  expect(world.ended).toEqual(['short'])
  for (let i = 0; i < 1_000; i++) world.goOn()
  expect(world.ended).toEqual(['short', 'long'])
})

test('the questions of one who asks are answered in their order, each once', () => {
  const world = createWorld()
  for (const query of ['first', 'second', 'third']) world.add('one', query, 2)
  for (let i = 0; i < 20; i++) world.goOn()
  expect(world.ended).toEqual(['first', 'second', 'third'])
})

test('a question that takes too long ends, and those behind it go on', () => {
  const world = createWorld()
  world.add('one', 'endless', Number.MAX_SAFE_INTEGER)
  for (let i = 0; i < 5; i++) world.goOn()
  expect(world.ended).toEqual([])
  world.now = ANSWER_MS_MAX + 1
  world.add('one', 'next', 1)
  for (let i = 0; i < 2; i++) world.goOn()
  expect(world.ended).toEqual([`endless: ${TOO_LONG}`, 'next'])
})
