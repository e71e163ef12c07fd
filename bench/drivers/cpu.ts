/**
 * What a statement costs the process that asks: one like the batch of the ledger, with 10 kB of JSON, which the server only
 * looks at. The answer says whether the server took the parameter for an object, and not for a string with JSON in it.
 */
import type { Session } from './drivers.ts'

export type Cost = { readonly cpuUs: number; readonly perSecond: number }

export const FUNCTION = `CREATE OR REPLACE FUNCTION f(p_epoch bigint, p_work jsonb) RETURNS jsonb LANGUAGE sql AS $$
  SELECT jsonb_build_object('epoch', p_epoch, 'kind', jsonb_typeof(p_work), 'answers', p_work->'reserve'->0) $$`
const STATEMENT = 'SELECT f($1::bigint, $2::jsonb) AS answer'
const WARM_UP = 500

export async function cost(session: Session, connections: number, count: number): Promise<Cost> {
  const work = batch()
  await spend(session, connections, WARM_UP, work)
  const before = process.cpuUsage()
  const startedMs = performance.now()
  await spend(session, connections, count, work)
  const { user, system } = process.cpuUsage(before)
  const seconds = (performance.now() - startedMs) / 1_000
  return { cpuUs: (user + system) / count, perSecond: count / seconds }
}

async function spend(
  session: Session,
  connections: number,
  count: number,
  work: object,
): Promise<void> {
  let left = count
  const line = async () => {
    while (left-- > 0) {
      const [row] = await session.ask(STATEMENT, [left, work])
      const answer = row?.['answer'] as { epoch?: unknown; kind?: unknown } | undefined
      if (answer?.kind !== 'object')
        throw new Error(`the server got ${answer?.kind}, not an object`)
    }
  }
  await Promise.all(Array.from({ length: connections }, line))
}

/** About 10 kB. */
function batch(): object {
  const reserve = Array.from({ length: 60 }, (_, i) => ({
    ...{ key: 1_000 + i, revision: 3, units: [1, 1_200, 0], at: 1_764_000_000_000 + i },
    ...{
      upstream: 'default',
      path: '/v1/chat/completions',
      request: `req_${i}_0123456789abcdef`,
      gates: [],
    },
  }))
  return { reserve, settle: [], sums: [] }
}
