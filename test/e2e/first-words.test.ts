/** What somebody reads who does the obvious thing: the message says what was wrong, and what to do next. */
import { describe, expect, test } from 'bun:test'
import { parseEnv } from 'node:util'
import { runCommand } from '../support/command.ts'
import { testOfFiles } from '../support/engine.ts'
import { addUpstream } from '../support/named-upstream.ts'
import { COMMAND, issueKey, startServer } from '../support/server.ts'
import { startUpstream } from '../support/upstream.ts'

const run = (...args: string[]) => runCommand([...COMMAND, ...args])

describe('commands', () => {
  test('help of a command within another is the help of that command', async () => {
    for (const words of [['keys', 'create'], ['backup', 'verify'], ['keys']]) {
      const asked = await run('help', ...words)
      expect(asked).toEqual(await run(...words, '--help'))
      expect(asked.out).toStartWith(`Usage: quota-proxy ${words.join(' ')} `)
    }
    for (const words of [['nope'], ['kyes'], ['keys', 'craete'], ['nope', 'keys', 'create']]) {
      const asked = await run('help', ...words)
      expect([asked.out, asked.code]).toEqual(['', 2])
      expect(asked.err).toStartWith("error: unknown command '")
      expect(asked.err).toEndWith('"quota-proxy help" lists all commands.\n')
    }
    expect((await run('help', 'kyes')).err).toContain('Did you mean keys?')
    expect((await run('help', 'keys', 'craete')).err).toContain('Did you mean create?')
  })

  test('an option that is a setting is answered with the name of the setting, and not its value', async () => {
    for (const [args, name] of [
      [['--port', '9000'], 'PORT'],
      [['serve', '--port=9000'], 'PORT'],
      [['-p', '9000'], 'PORT'],
      [['--admin-token', '9000'], 'ADMIN_TOKEN'],
    ] as const) {
      const { code, err } = await run(...args)
      expect(code).toBe(2)
      expect(err).toContain(
        `${name} is a setting, and settings are environment variables: ${name}=`,
      )
      expect(err.split('\n').at(-2)).not.toContain('9000')
    }
    expect((await run('--nonsense')).err).not.toContain('is a setting')
  })
})

describe('a start', () => {
  // Where there may be replicas, the operator gives the token.
  testOfFiles(
    'the first one says where the token is, what to do next and where the API is told',
    async () => {
      const server = await startServer()
      const events = server.events().map(({ msg }) => String(msg))
      expect(events.join('\n')).toMatch(/the admin token is new; it is in .*admin-token/)
      const next = events.find((text) => text.startsWith('next, hand out a key: '))
      expect(next).toContain(`${server.url}/swagger`)
      // As it has to be typed, where the name alone is not found.
      const [program] = COMMAND
      const typed =
        COMMAND.length > 1 ? `npx --prefer-offline -y bun@${Bun.version} src/main.ts` : program
      expect(next).toContain(`: ${Bun.which('quota-proxy') ? 'quota-proxy' : typed} keys create`)
      const words = /keys create alice --quota 100/.exec(next ?? '')?.[0].split(' ') ?? []
      const made = await runCommand([...COMMAND, ...words], { DATA_DIR: server.dataDir })
      expect(made).toMatchObject({ code: 0, out: expect.stringContaining('alice') })
    },
  )

  test('one that strangers can reach without HTTPS warns, unless a proxy in front is known', async () => {
    const warned = async (env: Record<string, string>) =>
      (await startServer(env)).logs().includes('without HTTPS, keys and the admin token')
    expect(await warned({ HOST: '0.0.0.0' })).toBe(true)
    expect(await warned({ HOST: '0.0.0.0', TRUSTED_PROXIES: '10.0.0.1' })).toBe(false)
    expect(await warned({})).toBe(false)
  })

  test('a copied .env.example works without a container', async () => {
    const text = await Bun.file(`${import.meta.dir}/../../.env.example`).text()
    const { PORT: _, ...settings } = parseEnv(text) as Record<string, string>
    const server = await startServer(settings)
    expect((await fetch(`${server.url}/readyz`)).status).toBe(200)
  })
})

describe('a refusal', () => {
  test('of a model names it and those that are allowed, as much as fits', async () => {
    const upstream = startUpstream()
    const server = await startServer()
    await addUpstream(server, { name: 'llm', base_url: upstream.url, mount: '/v1' })
    const models = ['gpt-4o*', ...Array.from({ length: 20 }, (_, n) => `m${n}`)]
    const { key } = await issueKey(server, { models })
    const ask = async (model: string | undefined) => {
      const headers = { 'x-api-key': key, 'content-type': 'application/json' }
      const body = JSON.stringify({ model, messages: [] })
      const answer = await fetch(`${server.url}/v1/chat/completions`, {
        method: 'POST',
        headers,
        body,
      })
      const { error } = (await answer.json()) as { error: { code: string; message: string } }
      expect([answer.status, error.code]).toEqual([403, 'model_not_allowed'])
      return error.message
    }
    const message = await ask('gpt-5')
    expect(message).toStartWith('The call asks for "gpt-5"; this key may use "gpt-4o*", "m0", ')
    expect(message).toContain(' and 13 more.')
    expect(await ask(undefined)).toContain('The call names no model; ')
    const long = await ask(`\u202e"${'x'.repeat(250)}`)
    expect(long).toContain('asks for "??xxx')
    expect(long.length).toBeLessThan(400)
  })

  test('of an unknown field names it, unless it may be a secret', async () => {
    const server = await startServer()
    const { key } = await issueKey(server)
    const told = async (field: string) => {
      const answers = [
        await server.admin('POST', '/admin/keys', { name: 'a', [field]: 1 }),
        await server.call(key, { endpoint: 'http://a.example/', [field]: 1 }),
      ]
      return Promise.all(answers.map((answer) => answer.text()))
    }
    for (const text of await told('qouta')) expect(text).toContain('has an unknown field qouta')
    for (const text of await told(key)) {
      expect(text).toContain('has an unknown field')
      expect(text).not.toContain(key)
    }
  })

  test('of a name without an address says so', async () => {
    const server = await startServer({ PROXY_EGRESS_ALLOW: 'listed.invalid' })
    const { key } = await issueKey(server)
    const told = async (endpoint: string) => {
      const answer = await server.call(key, { endpoint })
      const { error } = (await answer.json()) as { error: { code: string; message: string } }
      return [error.code, error.message]
    }
    const [code, message] = await told('http://listed.invalid/')
    expect(code).toBe('upstream_error')
    expect(message).toContain('its name has no address')
    const [, unlisted] = await told('http://nowhere.invalid/')
    expect(unlisted).toStartWith('The name of the target has no address, or none that is public.')
    // Whoever calls must not learn which private names there are.
    expect(await told('http://localhost/')).toEqual(await told('http://nowhere.invalid/'))
  })
})
