/**
 * A reader for whom calls that a crash has cut off have ended: as a start of the server would end them, but without changing
 * the source. They come with the last page of their table.
 */
import { hourOf } from '../ledger/settle.ts'
import type { OpenHold, Page, Reader, UsageName } from './ports.ts'
import { place, type Row, tableNamed } from './tables.ts'

const COUNTED = ['calls', 'failed', 'requests', 'tokens', 'cost', 'estimated'] as const
type Counted = (typeof COUNTED)[number]
type Sum = UsageName & Record<Counted, number>

type Ended = {
  readonly calls: readonly Row[]
  /** By the name of a row that is there already, and rows that are not. */
  readonly merged: ReadonlyMap<string, Sum>
  readonly added: readonly Row[]
}

const USAGE = tableNamed('usage_hourly')

export function withInterrupted(reader: Reader): Reader {
  let known: Promise<Ended> | undefined
  const ended = () => {
    known ??= reader.holds().then((holds) => endedBy(reader, holds))
    return known
  }
  return {
    ...reader,
    async page(table, after) {
      const page = await reader.page(table, after)
      if (table.name === 'calls') return withLast(page, (await ended()).calls)
      if (table.name !== 'usage_hourly') return page
      const { merged, added } = await ended()
      const rows = merged.size === 0 ? page.rows : page.rows.map((row) => mergedWith(row, merged))
      return withLast({ ...page, rows }, added)
    },
    async figures(table) {
      const [rows = '0', second = '0', ...rest] = await reader.figures(table)
      const { calls, added } = await ended()
      if (table.name === 'usage_hourly')
        return [plus(rows, added.length), plus(second, calls.length), ...rest]
      if (table.name !== 'calls') return [rows, second, ...rest]
      const last = Math.max(Number(second), ...calls.slice(-1).map(([seq]) => Number(seq)))
      return [plus(rows, calls.length), String(last), ...rest]
    },
  }
}

function withLast({ rows, next }: Page, last: readonly Row[]): Page {
  return next === null && last.length > 0 ? { rows: [...rows, ...last], next } : { rows, next }
}

function plus(text: string, more: number): string {
  return String(BigInt(text) + BigInt(more))
}

async function endedBy(reader: Reader, holds: readonly OpenHold[]): Promise<Ended> {
  const sums = new Map<string, Sum>()
  for (const hold of holds) add(sums, hold)
  const merged = new Map<string, Sum>()
  const added: Row[] = []
  for (const [name, sum] of sums) {
    if (await reader.hasUsage(sum)) merged.set(name, sum)
    else added.push(usageRow(sum))
  }
  return { calls: holds.map(callRow), merged, added }
}

function add(sums: Map<string, Sum>, { at, keySeq, upstream, requests, tokens, cost }: OpenHold) {
  const name = { hour: hourOf(at), keySeq, upstream, model: '' }
  const text = textOf(name)
  const none = { calls: 0, failed: 0, requests: 0, tokens: 0, cost: 0, estimated: 0 }
  const sum = sums.get(text) ?? { ...name, ...none }
  sum.calls += 1
  sum.failed += 1
  sum.requests += requests
  sum.tokens += tokens
  sum.cost += cost
  sum.estimated += Number(isEstimated(tokens, cost))
  sums.set(text, sum)
}

function isEstimated(tokens: number, cost: number): boolean {
  return tokens + cost > 0
}

function textOf({ hour, keySeq, upstream, model }: UsageName): string {
  return JSON.stringify([hour, keySeq, upstream, model])
}

/** What was reserved stays charged, since the upstream may have done the work. */
function callRow({ seq, keySeq, at, upstream, requestId, ...hold }: OpenHold): Row {
  const { requests, tokens, cost, counters } = hold
  return [
    seq, keySeq, at, upstream, requestId, 'interrupted', null, requests, requests, tokens, tokens, cost, cost, 0, 0, 0,
    null, null, null, null, null, isEstimated(tokens, cost), null, counters, null,
  ] // biome-ignore format: the order of the table
}

function usageRow({ hour, keySeq, upstream, model, ...sum }: Sum): Row {
  const { calls, failed, requests, tokens, cost, estimated } = sum
  return [hour, keySeq, upstream, model, calls, failed, requests, tokens, cost, 0, 0, 0, estimated]
}

function mergedWith(row: Row, merged: Ended['merged']): Row {
  const [hour, keySeq, upstream, model] = row
  const sum = merged.get(JSON.stringify([hour, keySeq, upstream, model]))
  if (!sum) return row
  const changed = [...row]
  for (const name of COUNTED) {
    const i = place(USAGE, name)
    changed[i] = Number(row[i]) + sum[name]
  }
  return changed
}
