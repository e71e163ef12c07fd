import { test } from 'bun:test'
import { callsOf, usedOf } from '../support/books.ts'
import { addUpstream } from '../support/named-upstream.ts'
import { issueKey, startServer } from '../support/server.ts'
import { ANSWERS } from '../support/wire-table/answers.ts'
import { REQUEST_BODIES } from '../support/wire-table/bodies.ts'
import { differencesOf } from '../support/wire-table/differences.ts'
import { REQUEST_HEADS } from '../support/wire-table/requests.ts'
import { startRow } from '../support/wire-table/run.ts'

test('dump', async () => {
  const server = await startServer({})
  const cases = [...REQUEST_HEADS, ...REQUEST_BODIES, ...ANSWERS]
  const t = performance.now()
  const out = await Promise.all(
    cases.map(async (row, i) => {
      try {
        const upstream = await startRow(row)
        const base = `/t${i}`
        const { key, id } = await issueKey(server, { quota: 100 })
        await addUpstream(server, { name: `t${i}`, base_url: upstream.url + base, mount: base, meter: { kind: 'none' } })
        const direct = await upstream.record(upstream.url, { base, key })
        const proxied = await upstream.record(server.url, { base, key })
        return { row, id, direct, proxied, diffs: differencesOf(direct, proxied, (s) => s.replaceAll(key, '{key}').replaceAll(base, '').slice(0, 150)) }
      } catch (e) {
        return { row, error: String(e) }
      }
    }),
  )
  console.log(cases.length, performance.now() - t)
  for (const o of out) {
    console.log(`\n## ${o.row.group}: ${o.row.name}`, o.error ?? '')
    if (!o.diffs) continue
    console.log('charged', await usedOf(server, o.id), (await callsOf(server, o.id)).map((c) => c.outcome).join())
    for (const d of o.diffs) console.log('  ', d.side, d.what, d.name, JSON.stringify(d.direct), '→', JSON.stringify(d.proxied))
    if (o.direct.answers.length === 0) console.log('   direct: no answer', JSON.stringify(o.direct.clientBytes.toString('latin1').slice(0,200)), 'up', JSON.stringify(o.direct.upstreamBytes.toString('latin1').slice(0,300)))
  }
}, 60_000)
