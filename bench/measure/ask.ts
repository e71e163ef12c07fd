/** What calls feel of questions: of fifty holders, or fifty operators, who ask for the most there is as fast as they are answered. */
import { readFileSync } from 'node:fs'
import { BARS, judge } from '../bars.ts'
import type { Size } from '../data/dataset.ts'
import { WARM_UP_S } from '../load/rounds.ts'
import { envelope, MODERATE } from '../load/traffic.ts'
import { measure, type Sample } from '../load/wrk.ts'
import { differences, spread } from '../report/statistics.ts'
import { count, table, withSpread } from '../report/table.ts'
import type { Bench, Section } from '../section.ts'
import { startQuotaProxy } from '../servers/quota-proxy.ts'
import type { Server } from '../workspace.ts'

const ASKERS = 50
const KEYS = 1_000

const WINDOW_S = 3

/** A refusal is not asked past at once: most who wait do. */
const REFUSED_MS = 100

const ALL_TIME = 'from=2020-01-01T00:00:00Z'
const HOLDER = [`/me/usage?group_by=total&${ALL_TIME}`, '/me/usage']
const BY_CALLS = [HOLDER, ['/admin/usage?limit=100'], ['/admin/calls?limit=100']]
const BY_KEYS = [['/admin/keys?limit=100'], ['/admin/keys?q=nothing-like-it']]

type Row = {
  readonly path: string
  readonly quiet: Sample[]
  readonly asked: Sample[]
  answers: number
}

export async function measureAsk(bench: Bench): Promise<Section> {
  const { keys, calls } = bench.settings
  const rows = [
    ...(await measureOn(bench, { keys: KEYS, calls }, BY_CALLS)),
    ...(await measureOn(bench, { keys, calls: 0 }, BY_KEYS)),
  ]
  const added = rows.map(({ quiet, asked }) => spread(differences(p99(asked), p99(quiet))))
  return {
    title: 'Questions',
    markdown: `${table(
      ['asked at once', 'answers/s', 'p99 ms without', 'p99 ms with', 'added ms'],
      rows.map(({ path, quiet, asked, answers }, i) => [
        `${ASKERS} × \`${path}\``,
        count(answers / (bench.settings.rounds * WINDOW_S)),
        withSpread(spread(p99(quiet)), 2),
        withSpread(spread(p99(asked)), 2),
        withSpread(added[i] ?? spread([0]), 2),
      ]),
    )}

The p99 of calls at a moderate load, in windows of ${WINDOW_S} s with and without questions in turn. The first three are of a
ledger of ${count(calls)} calls, the others of ${count(keys)} keys. Holders ask with ${ASKERS} keys; what a key asks beyond its sixty a
minute is refused.`,
    verdicts: rows.flatMap(({ path }, i) => {
      const spreadOf = added[i]
      return spreadOf ? [judge(BARS.ask, spreadOf, `\`${path}\``)] : []
    }),
    charts: {},
  }
}

async function measureOn(
  { dataset, workspace, upstream, settings, say }: Bench,
  size: Size,
  questions: readonly (readonly string[])[],
): Promise<Row[]> {
  const { dataDir, keysFile } = await dataset(size)
  const adminToken = crypto.randomUUID()
  const env = { DATA_DIR: dataDir, ADMIN_TOKEN: adminToken, CALLS_MAX: '1000000000' }
  const server = await startQuotaProxy(workspace, `ask-${size.keys}`, upstream, env)
  const traffic = { ...envelope(upstream), keysFile: keysFile(KEYS) }
  const windowOf = () => measure(workspace, server, traffic, { ...MODERATE, seconds: WINDOW_S })
  await measure(workspace, server, traffic, { ...MODERATE, seconds: WARM_UP_S })
  const keys = readFileSync(keysFile(ASKERS), 'utf8').split('\n')

  const rows = questions.map((paths): Row => {
    return { path: paths[0] ?? '', quiet: [], asked: [], answers: 0 }
  })
  for (let round = 1; round <= settings.rounds; round++) {
    for (const [i, row] of rows.entries()) {
      row.quiet.push(await windowOf())
      const questioning = askOn(server, questions[i] ?? [], (path, asker) =>
        path.startsWith('/me')
          ? { 'x-api-key': keys[asker] ?? '' }
          : { authorization: `Bearer ${adminToken}` },
      )
      row.asked.push(await windowOf())
      row.answers += await questioning.stop()
      say(`  ${row.path}: p99 ${row.quiet.at(-1)?.p99Ms} ms, then ${row.asked.at(-1)?.p99Ms} ms`)
    }
  }
  await server.stop()
  return rows
}

/** Asks until it is stopped, and tells then how many answers there were. */
function askOn(
  { url }: Server,
  paths: readonly string[],
  headersOf: (path: string, asker: number) => Record<string, string>,
): { stop(): Promise<number> } {
  let stopped = false
  let answers = 0
  async function ask(asker: number): Promise<void> {
    for (let i = 0; !stopped; i++) {
      const path = paths[i % paths.length] ?? ''
      const response = await fetch(url + path, { headers: headersOf(path, asker) })
      await response.arrayBuffer()
      if (response.ok) answers++
      else if (response.status === 429) await Bun.sleep(REFUSED_MS)
      else throw new Error(`${path} was answered with ${response.status}`)
    }
  }
  const asking = Promise.all(Array.from({ length: ASKERS }, (_, asker) => ask(asker)))
  return {
    async stop() {
      stopped = true
      await asking
      return answers
    },
  }
}

const p99 = (samples: readonly Sample[]) => samples.map(({ p99Ms }) => p99Ms)
