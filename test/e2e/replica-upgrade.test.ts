/** Replicas of this version while a newer one migrates their database: they serve on, or say that they cannot. */
import { expect, test } from 'bun:test'
import { runCommand } from '../support/command.ts'
import { AFTER, NEXT, upgrade } from '../support/next-version.ts'
import { newDatabase } from '../support/postgres.ts'
import { startReplicas } from '../support/replicas.ts'
import { COMMAND, issueKey, type TestServer, temporaryDirectory } from '../support/server.ts'
import { startUpstream } from '../support/upstream.ts'

const upstream = startUpstream()

const readiness = async ({ url }: TestServer) => (await fetch(`${url}/readyz`)).status

test('an upgrade that they understand costs no call; after one that they do not, they are not ready', async () => {
  const database = await newDatabase()
  const replicas = await startReplicas(database, 2, { PROXY_EGRESS_ALLOW: upstream.host })
  const { servers, env } = replicas
  const [one] = servers as [TestServer]
  const { key } = await issueKey(one, { quota: null })
  const call = async (n: number) =>
    (await servers[n % 2]?.call(key, { endpoint: upstream.url }))?.status

  const statuses = new Set<number | undefined>()
  let isOver = false
  const calling = Array.from({ length: 8 }, async () => {
    for (let n = 0; !isOver; n++) statuses.add(await call(n))
  })
  expect(await upgrade(database, NEXT)).toEqual([NEXT.name])
  // Longer than any of them needs to notice.
  await Bun.sleep(2_500)
  isOver = true
  await Promise.all(calling)
  expect([...statuses]).toEqual([200])
  await replicas.kill(1)
  await replicas.start(1)
  expect(await Promise.all(servers.map(readiness))).toEqual([200, 200])

  await upgrade(database, NEXT, AFTER)
  await Bun.sleep(2_500)
  expect(await Promise.all(servers.map(readiness))).toEqual([503, 503])
  for (const n of [0, 1]) expect(await call(n)).toBe(503)
  const late = { ...env, DATA_DIR: temporaryDirectory(), PORT: '0' }
  const { err, out, code } = await runCommand([...COMMAND, 'serve'], late)
  expect(code).toBe(2)
  expect(out + err).toMatch(/The database is newer than this binary/)
})
