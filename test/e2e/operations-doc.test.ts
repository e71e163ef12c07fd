/** The pages for operators, followed as they stand: what they tell to type works, in the order in which they tell it. */
import { describe, expect, test } from 'bun:test'
import { type Ran, runSession, sessionBlocks } from '../support/document-session.ts'
import { readDocument } from '../support/markdown.ts'

/** Some dozens of commands, each a process. */
const PAGE_MS_MAX = 150_000

const FILES = { 'openai.key': 'sk-first-of-this-test', 'new.key': 'sk-second-of-this-test' }

describe('docs/operations.md', () => {
  test(
    'every command of an operator’s life does what the page says',
    async () => {
      const blocks = sessionBlocks(await readDocument('docs/operations.md'))
      const { ran, problem } = await runSession(blocks, FILES)
      expect(problem).toBe('')
      expect(ran.length).toBe(blocks.length)
      expectShown(ran)

      const printed = (text: string) => find(ran, text).printed
      expect(printed('keys create trial-user-1')).toMatch(/key +trial_\w{36}\n(.*\n)+ok +books/)
      expect(printed('upstreams create openai')).toContain('https://api.openai.com/v1')
      expect(printed('backup verify')).toMatch(/: sound\. It holds 1 key and 0 calls\.\n/)
      // The key of the first steps is in the backup, and so in what the drill restores.
      expect(printed('drill restore')).toMatch(
        /The backup is the database now(.*\n)+.*trial-user-1/,
      )
      expect(printed('restore latest --dry-run')).toMatch(/The backup is the database now/)
      expect(printed('keys rotate')).toMatch(/^key +trial_\w{36}$/m)
      expect(printed('token rotate')).toMatch(/^qpa_\S+$/m)
      expect(printed('secret rotate')).toContain('1 credential is sealed with a new key.')
      expect(printed('top --once')).toContain('"state":"ready"')
      expect(printed('tar -C /var/lib/quota-proxy -xzf')).toContain('ok    books')

      const secrets = Object.values(FILES)
      expect(ran.filter(({ printed }) => secrets.some((text) => printed.includes(text)))).toEqual(
        [],
      )
    },
    PAGE_MS_MAX,
  )

  test('its figures are those that the benchmark has measured', async () => {
    const [, size = ''] = (await readDocument('docs/operations.md')).split('\n## Size\n')
    const [table = ''] = size.split('\n## ')
    const figures = [...table.matchAll(/\*\*([\d,.]+)\*\*/g)].map(([, figure = '']) => figure)
    expect(figures.length).toBeGreaterThan(5)
    const measured = new Set((await readDocument('bench/README.md')).match(/\d[\d,.]*\d/g))
    expect(figures.filter((figure) => !measured.has(figure))).toEqual([])
  })
})

describe('docs/failure-modes.md', () => {
  test(
    'every command that looks for a cause can be typed as it stands',
    async () => {
      const create = { commands: 'quota-proxy keys create holder --quota 10\n', output: null }
      const blocks = [create, ...sessionBlocks(await readDocument('docs/failure-modes.md'))]
      expect(blocks.length).toBeGreaterThan(10)
      const { ran, problem } = await runSession(blocks)
      expect(problem).toBe('')
      expect(ran.length).toBe(blocks.length)
      expectShown(ran)
    },
    PAGE_MS_MAX,
  )
})

function expectShown(ran: readonly Ran[]): void {
  for (const { output, printed } of ran)
    if (output !== null) expect(printed).toMatch(asPattern(output))
}

/** `…` stands for anything within a line, and for any lines where it stands alone. */
function asPattern(output: string): RegExp {
  const lines = output
    .trimEnd()
    .split('\n')
    .map((line) => (line === '…' ? '(?:.*\n)*?.*' : line.split('…').map(RegExp.escape).join('.*')))
  return new RegExp(`^${lines.join('\n')}\n?$`)
}

function find(ran: readonly Ran[], text: string): Ran {
  const one = ran.find(({ commands }) => commands.includes(text))
  if (!one) throw new Error(`the page has no block with ${text}`)
  return one
}
