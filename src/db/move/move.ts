/**
 * Moves a database from one place to another, between any two engines: looks at both, says what would happen, copies page by
 * page, compares, and only then lets the target be served. The source is never changed. Cut off at any moment, the same move
 * goes on where it was. The one entry to this folder.
 */
import { parseDatabaseUrl } from '../../domain/database-url.ts'
import type { Sealer } from '../../lib/seal.ts'
import { openSqliteSource } from '../sqlite/move/source.ts'
import { openSqliteTarget } from '../sqlite/move/target.ts'
import { type Compared, compareRows, copyRows, type Watch } from './copy.ts'
import { withInterrupted } from './interrupted.ts'
import { isSame, type MovableUrl, nameOf, refusalOf } from './place.ts'
import { FROM_THE_START, type Marker, MoveRefused, type Source, type Target } from './ports.ts'
import { refuseLost } from './seals.ts'
import { type State, stateOf } from './state.ts'
import { TABLES } from './tables.ts'

export type { Compared, Watch } from './copy.ts'
export { MoveRefused } from './ports.ts'

export type MoveOptions = {
  readonly from: string
  readonly to: string
  readonly sealer: Sealer
  readonly at: number
  /** Nothing will be run: the source may be served meanwhile. */
  readonly isPlan?: boolean
}

/**
 * What a move will do. `same` has nothing to copy: the target holds it already. `resumed` goes on with a copy that was cut
 * off, and `again` throws such a copy away, because the source has changed since or the copy was not equal.
 */
export type How = 'new' | 'resumed' | 'again' | 'same'

export type Plan = {
  /** Without user and password. */
  readonly from: string
  readonly to: string
  readonly how: How
  /** As they will be in the target. */
  readonly tables: readonly { readonly name: string; readonly rows: number }[]
  /** Calls that are in flight in the source: a crash has left them open, unless it is served. */
  readonly interrupted: number
  /** What must be done before the move is run; only of a plan. */
  readonly served: string | null
}

export type Outcome = { readonly same: boolean; readonly tables: readonly Compared[] }

export type Move = {
  readonly plan: Plan
  /** Rejects with MoveRefused if somebody has begun to serve one of the two. */
  run(watch: Watch): Promise<Outcome>
  close(): Promise<void>
}

/** Changes nothing. Rejects with MoveRefused, which says what to do. */
export async function prepareMove({ isPlan = false, ...options }: MoveOptions): Promise<Move> {
  const { from, to, sealer, at } = options
  const [first, second] = [read('--from', from), read('--to', to)]
  if (isSame(first, second))
    throw new MoveRefused('--from and --to are the same database. Name another one to move to.')
  const names = { from: nameOf(first), to: nameOf(second) }
  const source = await attempt(names.from, () => openSource(first, names.from, isPlan))
  try {
    await attempt(names.from, () => refuseLost(source, sealer))
    const target = await attempt(names.to, () => openTarget(second, names.to, sealer))
    try {
      return await attempt(names.to, () => assemble(source, target, names, at))
    } catch (error) {
      await target.close()
      throw error
    }
  } catch (error) {
    await source.close()
    throw error
  }
}

type Names = { readonly from: string; readonly to: string }

async function assemble(source: Source, target: Target, names: Names, at: number): Promise<Move> {
  const state = await stateOf(withInterrupted(source))
  const identity = await source.identity()
  const how = await howOf(target, identity, state, names)
  const tables = TABLES.map(({ name }) => ({ name, rows: Number(state.tables[name]?.[0] ?? 0) }))
  const interrupted = (await source.holds()).length
  let closed: Promise<void> | undefined
  return {
    plan: { ...names, how, tables, interrupted, served: source.served },
    async run(watch) {
      const read = () => withInterrupted(source)
      if (how === 'same') return compareRows(read(), target.reader(), tables, watch)
      const begun = target.state.kind === 'unfinished' ? target.state.marker : null
      const marker = how === 'resumed' && begun ? begun : firstMarker(identity, state, at)
      const copy = await target.begin(marker, how, await source.numbers())
      await copyRows(read(), copy, tables, watch)
      await source.renew()
      if ((await stateOf(read())).text !== state.text) {
        await copy.spoil()
        throw new Error(
          `${names.from} was changed while it was copied, so a server is at work. Stop it.`,
        )
      }
      const outcome = await compareRows(read(), copy.reader, tables, watch)
      await (outcome.same ? copy.finish() : copy.spoil())
      return outcome
    },
    close() {
      closed ??= target.close().finally(() => source.close())
      return closed
    },
  }
}

function firstMarker(source: string, { text }: State, at: number): Marker {
  return { source, state: text, at, progress: FROM_THE_START }
}

async function howOf(
  { state, reader }: Target,
  identity: string,
  { text }: State,
  { to }: Names,
): Promise<How> {
  if (state.kind === 'empty') return 'new'
  if (state.kind === 'unfinished') {
    if (state.marker.source === identity) return state.marker.state === text ? 'resumed' : 'again'
    throw new MoveRefused(
      `${to} holds an unfinished copy of another database. Finish that one, or name another target.`,
    )
  }
  const there = await stateOf(reader())
  if (there.text === text) return 'same'
  const [keys = '0', calls = '0'] = [there.tables['keys']?.[0], there.tables['calls']?.[0]]
  throw new MoveRefused(
    `${to} is not empty: it holds ${keys} keys and ${calls} calls. Name a new database; nothing is ever written over one that is in use.`,
  )
}

function read(option: string, url: string): MovableUrl {
  const parsed = parseDatabaseUrl(url)
  if (!parsed.ok) throw new MoveRefused(`${option} ${parsed.problem}`)
  if (parsed.value.kind !== 'memory') return parsed.value
  throw new MoveRefused(
    `${option} must outlive a process, and :memory: does not. Name a file or a PostgreSQL database.`,
  )
}

async function openSource(url: MovableUrl, name: string, isPlan: boolean): Promise<Source> {
  if (url.kind === 'file') return openSqliteSource(url.path, name, isPlan)
  // Loaded here, as where it is served.
  const { openPostgresSource } = await import('../postgres/move/source.ts')
  return openPostgresSource(url, name, isPlan)
}

async function openTarget(url: MovableUrl, name: string, sealer: Sealer): Promise<Target> {
  if (url.kind === 'file') return openSqliteTarget(url.path, name)
  const { openPostgresTarget } = await import('../postgres/move/target.ts')
  return openPostgresTarget(url, name, sealer)
}

/** Whatever keeps a database from being looked at is said in one sentence, and nothing has been changed. */
async function attempt<T>(name: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw refusalOf(name, error)
  }
}
