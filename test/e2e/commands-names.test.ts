/** Keys by their names, and many at once by a tag. */
import { expect, test } from 'bun:test'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { settled } from '../support/books.ts'
import { runCommand } from '../support/command.ts'
import { COMMAND, issueKey, startServer, temporaryDirectory } from '../support/server.ts'
import { startUpstream } from '../support/upstream.ts'

async function startOperator(settings: Readonly<Record<string, string>> = {}) {
  const server = await startServer(settings)
  const at = (env: Readonly<Record<string, string>>, args: readonly string[]) =>
    runCommand([...COMMAND, ...args], { DATA_DIR: server.dataDir, ...env })
  const run = Object.assign((...args: readonly string[]) => at({}, args), {
    /** With settings of its own. */
    with: (env: Readonly<Record<string, string>>, ...args: readonly string[]) => at(env, args),
  })
  const statuses = async () => {
    const { data } = (await (await server.admin('GET', '/admin/keys')).json()) as {
      data: { name: string; status: string }[]
    }
    return data.map(({ name, status }) => `${name} ${status}`).sort()
  }
  return { server, run, statuses }
}

test('every command takes a name that one key has, and asks for the id if several have it', async () => {
  const { server, run } = await startOperator()
  const ada = await issueKey(server, { name: 'Ada', quota: 5 })
  for (let twin = 0; twin < 2; twin++) await issueKey(server, { name: 'Bob', quota: 5 })
  await issueKey(server, { name: 'Ada Lovelace', quota: 5 })
  for (const args of [
    ['keys', 'show', 'Ada'],
    ['keys', 'update', 'Ada', '--quota', '6'],
    ['keys', 'disable', 'Ada'],
    ['keys', 'enable', 'Ada'],
    ['keys', 'credit', 'Ada', '1'],
    ['keys', 'adjustments', 'Ada'],
    ['keys', 'reset', 'Ada', '--yes'],
    ['usage', '--key', 'Ada'],
    ['calls', '--key', 'Ada'],
    ['keys', 'rotate', 'Ada', '--yes'],
  ]) {
    const { err, code } = await run(...args)
    expect([args, code, err.includes('no key')]).toEqual([args, 0, false])
  }
  const several = await run('keys', 'disable', 'Bob')
  expect(several).toMatchObject({ out: '', code: 2 })
  expect(several.err).toMatch(/2 keys have the name "Bob"\. Give the id of one: key_\w+, key_\w+/)
  const none = await run('keys', 'show', 'Ad')
  expect(none).toMatchObject({ out: '', code: 1 })
  expect(none.err).toContain('There is no key of the name "Ad"')
  // A secret must not stand where others can see it.
  const secret = await run('keys', 'show', ada.key)
  expect(secret).toMatchObject({ out: '', code: 2 })
  expect(secret.err).not.toContain(ada.key)
  expect(await run('keys', 'delete', 'Ada', '--yes')).toMatchObject({ code: 0 })
}, 30_000)

test('a key that is deleted is named in reports, and said to be deleted elsewhere', async () => {
  const upstream = startUpstream()
  const { server, run } = await startOperator({ PROXY_EGRESS_ALLOW: upstream.host })
  const issue = async (name: string) => {
    const key = await issueKey(server, { name, quota: 5 })
    await server.call(key.key, { endpoint: upstream.url })
    return key
  }
  const gone = await issue('gone')
  const twins = [await issue('twin'), await issue('twin')]
  await issue('alive')
  await settled(server)
  for (const { id } of [gone, ...twins]) await server.admin('DELETE', `/admin/keys/${id}`)
  const said = `The key "gone" is deleted; it was ${gone.id}.\n`
  const usage = await run('usage', '--key', 'gone')
  expect(usage).toMatchObject({ err: said, code: 0 })
  expect(usage.out).toMatch(/^gone +key_\w+ +deleted /m)
  expect(await run('calls', '--key', 'gone')).toMatchObject({
    ...{ out: expect.stringContaining(' gone '), err: said, code: 0 },
  })
  for (const args of [['keys', 'show', 'gone'], ['keys', 'enable', 'gone'], ['keys', 'credit', 'gone', '1']]) {
    const { out, err, code } = await run(...args)
    expect([args, out, code]).toEqual([args, '', 1])
    expect(err).toStartWith('quota-proxy: The key "gone" is deleted.')
    expect(err).toContain(`usage --key ${gone.id}`)
  } // biome-ignore format: a table
  const several = await run('usage', '--key', 'twin')
  expect(several).toMatchObject({ out: '', code: 2 })
  expect(several.err).toContain('2 deleted keys have the name "twin"')
  // Whoever has the name now is meant.
  const heir = await issue('gone')
  const json = await run('usage', '--key', 'gone', '--json')
  expect(JSON.parse(json.out)).toMatchObject([{ id: heir.id, status: 'active' }])
}, 30_000)

test('a key ends when a day begins in the zone of the settings', async () => {
  const { run } = await startOperator()
  const ends = async (args: readonly string[], zone?: string) => {
    const { out, err } = await run.with({ ...(zone && { DEFAULT_TIMEZONE: zone }) }, ...args, '--json')
    if (out === '') throw new Error(err)
    const answer = JSON.parse(out) as { expires_at: string } | { expires_at: string }[]
    return (Array.isArray(answer) ? answer[0] : answer)?.expires_at
  } // biome-ignore format: a line too long by little
  const create = ['keys', 'create', 'Ada', '--quota', '5', '--expires', '2099-12-31']
  expect(await ends(create)).toBe('2099-12-31T00:00:00Z')
  await run('keys', 'delete', 'Ada', '--yes')
  expect(await ends(create, 'Asia/Shanghai')).toBe('2099-12-30T16:00:00Z')
  const update = ['keys', 'update', 'Ada', '--expires', '2099-06-01']
  expect(await ends(update, 'America/New_York')).toBe('2099-06-01T04:00:00Z')
  const csv = join(temporaryDirectory(), 'keys.csv')
  writeFileSync(csv, 'name,quota,expires_at\nBob,1,2099-12-31\n')
  expect(await ends(['keys', 'import', csv], 'Asia/Shanghai')).toBe('2099-12-30T16:00:00Z')
  const instant = ['keys', 'update', 'Ada', '--expires', '2099-06-01T00:00:00Z']
  expect(await ends(instant, 'Asia/Shanghai')).toBe('2099-06-01T00:00:00Z')
})

test('--tag disables, enables, changes and deletes all keys with a tag, after a question', async () => {
  const { server, run, statuses } = await startOperator()
  for (const name of ['a', 'b', 'c'])
    await issueKey(server, { name, quota: 5, tags: name === 'c' ? [] : ['course'] })
  const unasked = await run('keys', 'disable', '--tag', 'course')
  expect(unasked).toMatchObject({ out: '', code: 2 })
  expect(unasked.err).toContain('Disable all 2 keys with the tag "course" (b, a)?')
  expect(await statuses()).toEqual(['a active', 'b active', 'c active'])
  const dry = await run('keys', 'disable', '--tag', 'course', '--dry-run')
  expect(dry.out).toContain('Would ask: Disable all 2 keys')
  const asJson = await run('keys', 'disable', '--tag', 'course', '--dry-run', '--json')
  expect(JSON.parse(asJson.out)).toMatchObject([{ name: 'b' }, { name: 'a' }])
  expect(await statuses()).toEqual(['a active', 'b active', 'c active'])

  expect((await run('keys', 'disable', '--tag', 'course', '--yes')).err).toBe(
    '2 keys are disabled.\n',
  )
  expect(await statuses()).toEqual(['a disabled', 'b disabled', 'c active'])
  await run('keys', 'enable', '--tag', 'course', '--yes')
  const update = ['keys', 'update', '--tag', 'course', '--quota', '7', '--yes', '--json']
  expect(JSON.parse((await run(...update)).out)).toMatchObject([{ quota: 7 }, { quota: 7 }])
  const { data } = (await (await server.admin('GET', '/admin/keys')).json()) as {
    data: { quota: number; tags: string[]; status: string }[]
  }
  expect(data.map(({ quota, tags, status }) => [quota, tags, status])).toEqual([
    [5, [], 'active'],
    [7, ['course'], 'active'],
    [7, ['course'], 'active'],
  ])
  expect((await run('keys', 'delete', '--tag', 'course', '--yes')).err).toBe(
    '2 keys are deleted.\n',
  )
  expect(await statuses()).toEqual(['c active'])
  for (const args of [
    ['keys', 'delete'],
    ['keys', 'disable'],
    ['keys', 'update', '--quota', '1'],
    ['keys', 'update', '--tag', 'course', '--tag', 'team', '--quota', '1', '--yes'],
    // A key and a tag, of which one would be ignored.
    ['keys', 'delete', 'c', '--tag', 'course', '--yes'],
    ['keys', 'disable', 'c', '--tag', 'course', '--yes'],
  ])
    expect([args, (await run(...args)).code]).toEqual([args, 2])
  expect(await statuses()).toEqual(['c active'])
  expect((await run('keys', 'delete', '--tag', 'nobody', '--yes')).code).toBe(1)
}, 30_000)

test('--dry-run changes nothing where one key is named, and a key beside a tag is refused', async () => {
  const { server, run, statuses } = await startOperator()
  const { id } = await issueKey(server, { name: 'Ada', quota: 5, tags: ['course'] })
  const before = await (await server.admin('GET', `/admin/keys/${id}`)).json()
  for (const [word, done, ...options] of [
    ['disable', 'disable'],
    ['enable', 'enable'],
    ['update', 'change', '--quota', '6'],
    ['update', 'change', '--tag', 'x'],
  ] as const) {
    const { out, code } = await run('keys', word, 'Ada', ...options, '--dry-run')
    expect({ out, code }).toEqual({ out: `Would ${done} ${id} (Ada).\n`, code: 0 })
  }
  expect(await (await server.admin('GET', `/admin/keys/${id}`)).json()).toEqual(before)
  for (const word of ['disable', 'enable', 'delete']) {
    const both = await run('keys', word, 'Ada', '--tag', 'course', '--yes')
    expect(both).toMatchObject({ out: '', code: 2 })
    expect(both.err).toContain('not both')
  }
  expect(await statuses()).toEqual(['Ada active'])
})

test('a grace is asked about in words', async () => {
  const { server, run } = await startOperator()
  const { id } = await issueKey(server)
  for (const [grace, words] of [
    ['24h', '1 day'],
    ['36h', '36 hours'],
    ['90s', '90 seconds'],
    ['1m', '1 minute'],
  ] as const) {
    const { out } = await run('keys', 'rotate', id, '--grace', grace, '--dry-run')
    expect(out).toContain(`is refused in ${words}.`)
  }
})
