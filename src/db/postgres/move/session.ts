/** One connection for as long as a move takes, whose statements may take long: rows come as arrays. */
import type pg from 'pg'
import type { PostgresAddress } from '../../../domain/postgres-url.ts'
import { connect } from '../connection.ts'
import { failureOf } from '../failure.ts'

export class Session {
  readonly #client: pg.Client

  private constructor(client: pg.Client) {
    this.#client = client
  }

  static async open(addresses: readonly PostgresAddress[]): Promise<Session> {
    try {
      return new Session(await connect(addresses))
    } catch (error) {
      throw failureOf(error)
    }
  }

  async rows(text: string, values: readonly unknown[] = []): Promise<readonly unknown[][]> {
    try {
      const query = { text, values: [...values], rowMode: 'array' } as const
      return (await this.#client.query<unknown[]>(query)).rows
    } catch (error) {
      throw failureOf(error)
    }
  }

  /** Of the first row. */
  async value(text: string, values: readonly unknown[] = []): Promise<unknown> {
    return (await this.rows(text, values))[0]?.[0]
  }

  /** All of the work is written when it resolves, or nothing and it rejects. */
  async transact<T>(work: () => Promise<T>): Promise<T> {
    await this.rows('BEGIN ISOLATION LEVEL READ COMMITTED')
    try {
      await this.rows('SET LOCAL statement_timeout = 0')
      const result = await work()
      await this.rows('COMMIT')
      return result
    } catch (error) {
      // The connection may be gone, and the transaction with it.
      await this.rows('ROLLBACK').catch(() => {})
      throw error
    }
  }

  async close(): Promise<void> {
    await this.#client.end().catch(() => {})
  }
}
