import { expect, test } from 'bun:test'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createLiveConfig, memoByConfig } from '../../src/config/live.ts'
import { loadConfig } from '../../src/config/load.ts'
import { temporaryDirectory } from '../support/server.ts'

function start(text: string) {
  const path = join(temporaryDirectory(), 'settings')
  const write = (next: string) => writeFileSync(path, next)
  write(text)
  const env = { CONFIG_FILE: path }
  const loaded = loadConfig(env)
  if (!loaded.ok) throw new Error(loaded.problems.join('\n'))
  return { settings: createLiveConfig(env, loaded.config), write }
}

test('a reload takes what may change, and keeps what needs a restart', () => {
  const { settings, write } = start('PORT=1\nCHARGE_ON=answer\n')
  write('PORT=2\nCHARGE_ON=success\n')
  expect(settings.reload(() => 'prepared')).toEqual({
    ok: true,
    prepared: 'prepared',
    changed: ['CHARGE_ON'],
    waiting: ['PORT'],
  })
  expect(settings.current()).toMatchObject({ port: 1, chargeOn: 'success' })
})

test('what waits for a restart is told of again at the next reload, and no longer once it is put back', () => {
  const { settings, write } = start('PORT=1\n')
  write('PORT=2\n')
  for (const _ of [1, 2])
    expect(settings.reload(() => null)).toMatchObject({ changed: [], waiting: ['PORT'] })
  write('PORT=1\n')
  expect(settings.reload(() => null)).toMatchObject({ waiting: [] })
})

test('a reload that finds anything wrong changes nothing', () => {
  const { settings, write } = start('CHARGE_ON=answer\n')
  const before = settings.current()
  write('CHARGE_ON=success\nLOG_LEVEL=loud\n')
  expect(settings.reload(() => null)).toMatchObject({ ok: false })
  write('CHARGE_ON=success\n')
  const refused = settings.reload(() => {
    throw new Error('The key does not fit.')
  })
  expect(refused).toEqual({ ok: false, problems: ['The key does not fit.'] })
  expect(settings.current()).toBe(before)
})

test('what follows the settings is made anew when they have changed, and only then', () => {
  const { settings, write } = start('CHARGE_ON=answer\n')
  let made = 0
  const follow = memoByConfig(settings.current, ({ chargeOn }) => ({ chargeOn, number: ++made }))
  expect([follow(), follow()]).toEqual([
    { chargeOn: 'answer', number: 1 },
    { chargeOn: 'answer', number: 1 },
  ])
  write('CHARGE_ON=success\n')
  settings.reload(() => null)
  expect([follow(), follow()]).toEqual([
    { chargeOn: 'success', number: 2 },
    { chargeOn: 'success', number: 2 },
  ])
})
