/** All that can be asked, by name: a thread is told what to do by a name and its arguments. */
import type { Database } from 'bun:sqlite'
import { drizzle } from 'drizzle-orm/bun-sqlite'
import type { KeyRef, Page } from '../../../domain/key.ts'
import { listAdjustments } from '../keys/adjustments.ts'
import { createCallQueries } from './calls.ts'
import { createKeyRecords } from './keys.ts'
import { oneStep, type Steps } from './steps.ts'
import { createUsageQueries } from './usage.ts'
import { createUsageGroups } from './usage-groups.ts'

export function createQueries(client: Database) {
  const db = drizzle({ client })
  const keys = createKeyRecords(client)
  const calls = createCallQueries(client)
  const usage = createUsageQueries(client)
  return {
    findKey: (ref: KeyRef, at: number) => oneStep(() => keys.find(ref, at)),
    findKeyEver: (id: string, at: number) => oneStep(() => keys.findEver(id, at)),
    listKeys: keys.list,
    listAdjustments: (keySeq: number, page: Page) =>
      oneStep(() => listAdjustments(db, keySeq, page)),
    findCall: (seq: number) => oneStep(() => calls.find(seq)),
    listCalls: calls.list,
    usageTotals: usage.totals,
    usageByPeriod: usage.byPeriod,
    usageGroups: createUsageGroups(client),
    usageByUpstream: usage.byUpstream,
  }
}

type Queries = ReturnType<typeof createQueries>

export type QueryName = keyof Queries
export type Arguments<Name extends QueryName> = Parameters<Queries[Name]>
export type Answer<Name extends QueryName> =
  ReturnType<Queries[Name]> extends Steps<infer Value> ? Value : never

/** One question, and whose it is: a name that those who ask at once are told apart by. */
export type Question = {
  readonly asker: string
  readonly name: QueryName
  readonly args: readonly unknown[]
}

/** Begins a query on a connection; each step sees the database as it was committed at one moment. */
export function createBegin(
  client: Database,
): (question: Question) => Iterator<undefined, unknown> {
  const queries = createQueries(client)
  return ({ name, args }) => {
    const begin = queries[name] as (...args: readonly unknown[]) => Steps<unknown>
    const steps = begin(...args)
    return { next: client.transaction(() => steps.next()) }
  }
}
