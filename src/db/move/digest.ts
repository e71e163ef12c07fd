/** What the rows of a table come to: how many, their sums, and a hash that does not depend on their order. */
import { place, type Row, type Table } from './tables.ts'

export type Digest = {
  readonly rows: number
  /** By column; as text, since they may be beyond the numbers of JavaScript. */
  readonly sums: Readonly<Record<string, string>>
  /** Hexadecimal. */
  readonly hash: string
}

export type Digester = { add(row: Row): void; digest(): Digest }

const BITS = 128
const BYTES = BITS / 8

/**
 * The hash is the sum of the hashes of all rows, so that a row that is there twice is told from one that is there once. It
 * finds mistakes; it is no proof against somebody who chooses rows.
 */
export function createDigester(table: Table): Digester {
  const summed = table.sums.map((name) => ({ name, at: place(table, name), sum: 0n }))
  let rows = 0
  let hash = 0n
  return {
    add(row) {
      rows++
      for (const one of summed) one.sum += BigInt(Number(row[one.at] ?? 0))
      const bytes = new Bun.CryptoHasher('sha256').update(JSON.stringify(row)).digest()
      hash = BigInt.asUintN(
        BITS,
        hash + bytes.readBigUInt64BE(0) + (bytes.readBigUInt64BE(8) << 64n),
      )
    },
    digest: () => ({
      rows,
      sums: Object.fromEntries(summed.map(({ name, sum }) => [name, String(sum)])),
      hash: hash.toString(16).padStart(BYTES * 2, '0'),
    }),
  }
}
