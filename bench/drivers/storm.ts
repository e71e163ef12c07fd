/**
 * Many questions at once over few connections, of which a third are given up or lose their connection in the middle, and
 * transactions between them. Each question has a name that comes back with its answer, also with an error, so an answer that
 * belongs to another question is seen. Nothing may hang, and what was done must be what was said to be done.
 */
import type pg from 'pg'
import type { Ask, Session } from './drivers.ts'
import type { Outcome } from './outcome.ts'

export type Storm = {
  readonly statements: number
  readonly connections: number
}

/** At once, in the hands of the driver. */
const IN_FLIGHT = 400
const HUNG_MS = 30_000
/** As many have hung, and the rest would only take long. */
const HUNG_MAX = 50
/** Counted, not timed: a busy machine that kills faster than it connects would do nothing else. */
const QUESTIONS_PER_KILL = 25
const RECOVERY_MS_MAX = 15_000

const QUESTION = `SELECT $1::text AS id, repeat($1::text || '.', $2::int) AS payload FROM pg_sleep($3::float8)`
const MISTAKE = 'SELECT $1::text::int AS id'
const NOTE = `INSERT INTO solo (id, xid) VALUES ($1::text, pg_current_xact_id()::text) RETURNING id, repeat(id || '.', $2::int) AS payload`
const PART =
  'INSERT INTO parts (id, part, xid) VALUES ($1::text, $2::int, pg_current_xact_id()::text)'

/** `server` reaches the server itself, to kill connections and to look at what was done. */
export async function storm(session: Session, server: pg.Client, how: Storm): Promise<Outcome> {
  const run = new Run(session)
  await server.query(
    'DROP TABLE IF EXISTS solo, parts; CREATE TABLE solo (id text, xid text); CREATE TABLE parts (id text, part int, xid text)',
  )
  await run.warmUp()
  const killing = startKilling(server, run.outcome)
  const workers = Array.from({ length: IN_FLIGHT }, async () => {
    while (run.outcome.asked < how.statements && run.outcome.hung < HUNG_MAX) await run.next()
  })
  await Promise.all(workers)
  await killing.stop()
  await run.recover()
  await run.audit(server)
  return run.outcome
}

/** One connection after the other, whatever it is doing, as an operator or a failing network would. */
function startKilling(server: pg.Client, outcome: Outcome): { stop(): Promise<void> } {
  let on = true
  const done = (async () => {
    for (let ended = 0; on; await Bun.sleep(5)) {
      if (outcome.answered + outcome.failed - ended < QUESTIONS_PER_KILL) continue
      ended = outcome.answered + outcome.failed
      await server.query(
        `SELECT pg_terminate_backend(pid) FROM (SELECT pid FROM pg_stat_activity
         WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() ORDER BY random() LIMIT 1) one`,
      )
    }
  })()
  return {
    async stop() {
      on = false
      await done
    },
  }
}

class Run {
  readonly outcome: Outcome = {
    ...{ asked: 0, answered: 0, failed: 0, bystanders: 0, wrong: 0, hung: 0, cancelledForOther: 0 },
    ...{ torn: 0, strangers: 0, uncaught: 0, recoveredMs: -1, first: '' },
  }
  readonly #session: Session
  readonly #noted = new Set<string>()
  readonly #done = new Set<string>()
  readonly #undone = new Set<string>()
  #number = 0

  constructor(session: Session) {
    this.#session = session
    const count = (error: unknown) => this.#see('uncaught', `uncaught: ${error}`)
    process.on('uncaughtException', count)
    process.on('unhandledRejection', count)
  }

  async warmUp(): Promise<void> {
    await Promise.all(Array.from({ length: 50 }, () => this.#question()))
    Object.assign(this.outcome, { answered: 0, failed: 0, bystanders: 0 })
  }

  /** A third are cancelled, or sleep while connections are killed. */
  next(): Promise<void> {
    this.outcome.asked++
    const kind = Math.random()
    if (kind < 0.2) return this.#question(Math.random() * 0.02, 1 + Math.floor(Math.random() * 40))
    if (kind < 0.35) return this.#question(Math.random() * 0.02)
    if (kind < 0.5) return this.#mistake()
    if (kind < 0.65) return this.#note()
    if (kind < 0.75) return this.#transaction()
    return kind < 0.87 ? this.#question() : this.#plainQuestion()
  }

  /** Without parameters, as BEGIN is, which drivers send in another way. */
  async #plainQuestion(): Promise<void> {
    const id = this.#name()
    const size = sizeOf()
    const text = `SELECT '${id}' AS id, repeat('${id}.', ${size}) AS payload`
    const answer = await this.#ended(id, this.#session.ask(text, []))
    if (answer) this.#check(id, size, answer)
  }

  async #question(sleepS = 0, cancelMs?: number): Promise<void> {
    const id = this.#name()
    const size = sizeOf()
    const asked = this.#session.ask(QUESTION, [id, size, sleepS], cancelMs)
    const answer = await this.#ended(id, asked, cancelMs !== undefined)
    if (answer) this.#check(id, size, answer)
  }

  /** The error has the name in it. */
  async #mistake(): Promise<void> {
    const id = this.#name()
    const answer = await this.#ended(id, this.#session.ask(MISTAKE, [id]))
    if (answer)
      this.#see('wrong', `${id}, a mistake, was answered ${JSON.stringify(answer).slice(0, 100)}`)
  }

  async #note(): Promise<void> {
    const id = this.#name()
    const size = sizeOf()
    const answer = await this.#ended(id, this.#session.ask(NOTE, [id, size]))
    if (!answer) return
    this.#check(id, size, answer)
    this.#noted.add(id)
  }

  /** Some are undone on purpose. Of one that fails at its end nobody knows whether it was done. */
  async #transaction(): Promise<void> {
    const id = this.#name()
    const isUndone = Math.random() < 0.2
    const work = async (ask: Ask) => {
      await ask(PART, [id, 1])
      const size = sizeOf()
      this.#check(id, size, await ask(QUESTION, [id, size, 0]))
      if (isUndone) throw new Undone()
      await ask(PART, [id, 2])
    }
    const ended = await this.#ended(
      id,
      this.#session.transaction(work).then(() => []),
    )
    if (ended && !isUndone) this.#done.add(id)
    if (isUndone) this.#undone.add(id)
  }

  #name(): string {
    return `q${this.#number++}q`
  }

  #check(id: string, size: number, rows: readonly Record<string, unknown>[]): void {
    const [row] = rows
    if (rows.length === 1 && row?.['id'] === id && row['payload'] === `${id}.`.repeat(size)) {
      this.outcome.answered++
      return
    }
    this.#see('wrong', `${id} was answered ${JSON.stringify(rows).slice(0, 100)}`)
  }

  /** Null if it has failed or hangs. */
  async #ended<T>(id: string, question: Promise<T>, mayBeCancelled = false): Promise<T | null> {
    const late = Promise.withResolvers<'late'>()
    const timer = setTimeout(() => late.resolve('late'), HUNG_MS)
    try {
      const answer = await Promise.race([question, late.promise])
      if (answer !== 'late') return answer as T
      this.#see('hung', `${id} has hung`)
      question.catch(() => {})
    } catch (error) {
      this.#failed(id, error, mayBeCancelled)
    } finally {
      clearTimeout(timer)
    }
    return null
  }

  #failed(id: string, error: unknown, mayBeCancelled: boolean): void {
    this.outcome.failed++
    const text = error instanceof Error ? error.message : String(error)
    const isMeant = mayBeCancelled || error instanceof Undone || /invalid input syntax/.test(text)
    if (!isMeant) this.outcome.bystanders++
    const other = /"(q\d+q)"/.exec(text)?.[1]
    if (other !== undefined && other !== id) this.#see('wrong', `${id} got the error of ${other}`)
    if (/due to user request/.test(text) && !mayBeCancelled)
      this.#see('cancelledForOther', `${id} was cancelled, which nobody asked for`)
  }

  #see(
    what: 'wrong' | 'hung' | 'torn' | 'strangers' | 'uncaught' | 'cancelledForOther',
    text: string,
    count = 1,
  ): void {
    this.outcome[what] += count
    if (this.outcome.first === '' && what !== 'cancelledForOther') this.outcome.first = text
  }

  /** What is asked here is not counted. */
  async recover(): Promise<void> {
    const startedMs = performance.now()
    const { answered, failed, bystanders } = this.outcome
    let inARow = 0
    while (inARow < 20 && performance.now() - startedMs < RECOVERY_MS_MAX) {
      const before = this.outcome.answered
      await Promise.race([this.#question(), Bun.sleep(3_000)])
      inARow = this.outcome.answered > before ? inARow + 1 : 0
    }
    if (inARow === 20) this.outcome.recoveredMs = Math.round(performance.now() - startedMs)
    Object.assign(this.outcome, { answered, failed, bystanders })
  }

  /** What the server has, against what was said. */
  async audit(server: pg.Client): Promise<void> {
    const ids = async (text: string) =>
      new Set((await server.query<{ id: string }>(text)).rows.map(({ id }) => id))
    const half = await ids('SELECT id FROM parts GROUP BY id HAVING count(*) <> 2')
    this.#found('torn', half, 'half of a transaction')
    const whole = await ids('SELECT id FROM parts')
    this.#found('torn', this.#done.difference(whole), 'a transaction that was done is not there')
    this.#found('torn', this.#undone.intersection(whole), 'a transaction that was undone is there')
    const notes = await ids('SELECT id FROM solo')
    this.#found('torn', this.#noted.difference(notes), 'what was written is not there')
    const strangers = await ids('SELECT id FROM solo WHERE xid IN (SELECT xid FROM parts)')
    this.#found('strangers', strangers, 'written in a transaction of others')
  }

  #found(what: 'torn' | 'strangers', ids: ReadonlySet<string>, text: string): void {
    if (ids.size > 0) this.#see(what, `${text}: ${[...ids].slice(0, 3).join(', ')}`, ids.size)
  }
}

class Undone extends Error {}

/** Mostly small, at times some 20 kB. */
function sizeOf(): number {
  return Math.floor(2_500 * Math.random() ** 4)
}
