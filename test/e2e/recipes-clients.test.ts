/** The clients of the recipes: with the base URLs and settings of the page, their calls reach the vendors and are counted. */
import { describe, expect, test } from 'bun:test'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ANTHROPIC_CREDENTIAL, startAnthropic } from '../support/anthropic-server.ts'
import { callsOf } from '../support/books.ts'
import { runCommand } from '../support/command.ts'
import { ROOT, readDocument } from '../support/markdown.ts'
import { addUpstream } from '../support/named-upstream.ts'
import { OPENAI_CREDENTIAL, startOpenAi } from '../support/openai-server.ts'
import { issueKey, startServer, temporaryDirectory } from '../support/server.ts'

const server = await startServer()
await addUpstream(server, {
  name: 'openai',
  base_url: `${startOpenAi().url}/v1`,
  credential: { secret: OPENAI_CREDENTIAL },
  mount: '/v1',
})
await addUpstream(server, {
  name: 'anthropic',
  base_url: startAnthropic().url,
  credential: { secret: ANTHROPIC_CREDENTIAL, header: 'x-api-key' },
  mount: '/anthropic',
})

const page = await readDocument('docs/recipes.md')
const [, section = ''] = page.split('\n## Clients\n')
/** A client, its base URL, where its key goes, and the path that it adds. */
const rows = [
  ...section.matchAll(/^\| ([\w ]+) \| `(http:[^`]+)` \| ([^|]+) \| `(\/[^`]+)` \|$/gm),
].map(([, client = '', base = '', , path = '']) => ({ client, base, path }))

const HELLO = [{ role: 'user', content: 'Hello' }]
const BODIES: Readonly<Record<string, object>> = {
  messages: { model: 'claude-sonnet-4-5', max_tokens: 100, messages: HELLO },
  responses: { model: 'gpt-4o-mini', input: 'Hello' },
  completions: { model: 'gpt-4o-mini', messages: HELLO },
}

describe('docs/recipes.md', () => {
  test('has a base URL for every client that it names', () => {
    expect(rows.map(({ client }) => client)).toEqual([
      'Claude Code',
      'Codex',
      'Cherry Studio',
      'NextChat',
      'Open WebUI',
      'LangChain',
      'Vercel AI SDK',
    ])
  })

  for (const { client, base, path } of rows)
    test(`${client} reaches its API with that base URL, streams and is counted in tokens`, async () => {
      const { key, id } = await issueKey(server, { quota: 10 })
      const body = BODIES[path.split('/').at(-1) ?? '']
      const response = await fetch(here(base) + path, {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: `Bearer ${key}` },
        body: JSON.stringify({ ...body, stream: true, stream_options: undefined }),
      })
      expect(response.status).toBe(200)
      expect(await response.text()).toContain('data: ')
      const [call] = await callsOf(server, id)
      expect(call?.tokens.charged).toBeGreaterThan(0)
      expect(call?.estimated).toBeFalse()
    })

  test('every setting of a client has the base URL of the table', () => {
    const settings = [
      ['Claude Code', /ANTHROPIC_BASE_URL=(\S+)/],
      ['Codex', /base_url = "([^"]+)"\nenv_key/],
      ['Cherry Studio', /API Host `([^`]+)`/],
      ['NextChat', /-e BASE_URL=(\S+)/],
      ['Open WebUI', /OPENAI_API_BASE_URL=(\S+)/],
      ['LangChain', /ChatOpenAI\(base_url="([^"]+)"/],
      ['Vercel AI SDK', /baseURL: '([^']+)'/],
    ] as const
    for (const [client, pattern] of settings) {
      const shown = pattern.exec(section)?.[1] ?? ''
      const base = rows.find((row) => row.client === client)?.base ?? ''
      // In a container it is the proxy's own name, at the same path.
      expect({ client, base: shown.replace('https://api.example.org', 'http://localhost:8787') }) // biome-ignore format: one line
        .toEqual({ client, base })
    }
  })

  test('the file for Codex is TOML and names the provider that it defines', () => {
    const toml = Bun.TOML.parse(blockOf('toml')) as Record<string, Record<string, object>>
    expect(toml['model_providers']?.[String(toml['model_provider'])]).toMatchObject({
      wire_api: 'responses',
      env_key: /export (\w+)=trial_…\ncodex/.exec(section)?.[1],
    })
  })

  test('the program for the AI SDK runs as it stands', async () => {
    const { key, id } = await issueKey(server, { quota: 10 })
    const program = here(blockOf('ts')).replace('trial_…', key)
    const file = join(temporaryDirectory(), 'program.ts')
    const bare = (name: string) => `'${Bun.resolveSync(name, ROOT)}'`
    writeFileSync(
      file,
      program.replace(/'(@ai-sdk\/openai|ai)'/g, (_, name) => bare(name)),
    )
    const { out, err, code } = await runCommand([process.execPath, file])
    expect({ err, code }).toEqual({ err: '', code: 0 })
    expect(out).toContain('你好')
    expect(await callsOf(server, id)).toHaveLength(1)
  })
})

function here(text: string): string {
  return text.replaceAll('http://localhost:8787', server.url)
}

function blockOf(language: string): string {
  return new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\`$`, 'ms').exec(section)?.[1] ?? ''
}
