/** Issues the rows of an import, one after the other: no key is issued while another may still be lost. */
import { closeSync, fsyncSync, openSync, writeFileSync } from 'node:fs'
import { errorCode } from '../../../lib/error-code.ts'
import { sheetRow } from '../../../lib/text/csv.ts'
import type { Answer, Api } from '../../api.ts'
import { count } from '../../output/format.ts'
import { createProgress } from '../../output/progress.ts'
import { Misuse, ReaderGone, type Session } from '../../session.ts'
import { warnOfUnpriced } from '../unpriced.ts'
import type { Row } from './rows.ts'

type Issued = Answer<'POST /admin/keys'> & { readonly line: number }

/** Where new keys are written. */
type Sink = {
  /** Resolves when the key is kept; rejects if it cannot be, with ReaderGone if nobody reads any more. */
  write(key: Issued): Promise<void>
  end(): void
}

export async function issueAll(
  session: Session,
  api: Api,
  rows: readonly Row[],
  { asJson, output }: { readonly asJson: boolean; readonly output: string | undefined },
): Promise<void> {
  await api.admin()
  const { err } = session.io
  const file = output === undefined ? null : openSink(output, asJson)
  const printer = createPrinter(session, asJson, file !== null)
  const progress = createProgress(session, 'keys issued', rows.length)
  const keys: Issued[] = []
  try {
    for (const { line, body } of rows) {
      const key = { line, ...(await api.ask('POST /admin/keys', {}, body)) }
      await keep(api, file ?? printer, key)
      keys.push(key)
      if (file) await printer.write(key)
      progress.step()
    }
  } catch (error) {
    progress.end()
    const failed = rows[keys.length]?.line ?? 0
    err(
      `${issued(keys.length)}. The key of line ${failed} was not, as far as is known: look, mend it, and go on with --from-line ${failed}.\n`,
    )
    session.exitCode = 1
    throw error
  } finally {
    progress.end()
    printer.end()
    file?.end()
  }
  err(`${issued(keys.length)}; the secrets cannot be had again.\n`)
  await warnOfUnpriced({ session, api }, keys)
}

function issued(keys: number): string {
  return keys === 1 ? '1 key was issued' : `${count(keys)} keys were issued`
}

/** A key that was written nowhere is taken back. */
async function keep(api: Api, sink: Sink, key: Issued): Promise<void> {
  try {
    await sink.write(key)
  } catch (error) {
    await api.ask('DELETE /admin/keys/:key', { key: key.id })
    throw error
  }
}

/** `isCopied` says that the keys are kept elsewhere as well, so that it matters nothing whether anybody reads. */
function createPrinter({ io }: Session, asJson: boolean, isCopied: boolean): Sink {
  let rows = 0
  return {
    async write(key) {
      io.out(textOf(key, rows++, asJson))
      try {
        await io.flush?.()
      } catch (error) {
        if (!isCopied || !(error instanceof ReaderGone)) throw error
      }
    },
    end() {
      if (asJson && rows > 0) io.out('\n]\n')
    },
  }
}

/** For its owner alone, and on the disk before the next key is issued. */
function openSink(path: string, asJson: boolean): Sink {
  const fd = openNew(path)
  let rows = 0
  return {
    async write(key) {
      writeFileSync(fd, textOf(key, rows++, asJson))
      fsyncSync(fd)
    },
    end() {
      if (asJson) writeFileSync(fd, rows > 0 ? '\n]\n' : '[]\n')
      closeSync(fd)
    },
  }
}

function openNew(path: string): number {
  try {
    return openSync(path, 'wx', 0o600)
  } catch (error) {
    const code = errorCode(error)
    throw new Misuse(
      code === 'EEXIST'
        ? `${path} is there already. Give --output a new file.`
        : `${path} cannot be written (${code}).`,
    )
  }
}

function textOf(key: Issued, row: number, asJson: boolean): string {
  if (asJson) return `${row === 0 ? '[' : ','}\n${JSON.stringify(key)}`
  const head = row === 0 ? sheetRow(['line', 'id', 'name', 'key']) : ''
  return head + sheetRow([key.line, key.id, key.name, key.key])
}
