/** Issues the rows of an import, one after the other: no key is issued while another may still be lost. */
import { closeSync, fsyncSync, openSync, writeFileSync } from 'node:fs'
import { errorCode } from '../../../lib/error-code.ts'
import { sheetWriter } from '../../../lib/text/csv.ts'
import type { Answer, Api } from '../../api.ts'
import { count } from '../../output/format.ts'
import { createProgress } from '../../output/progress.ts'
import { Misuse, type Session } from '../../session.ts'
import { warnOfUnpriced } from '../unpriced.ts'
import type { Row } from './rows.ts'

type Issued = Answer<'POST /admin/keys'> & { readonly line: number }

/** How the new keys are written, and to which file instead of standard output. */
type Form = {
  readonly asJson: boolean
  readonly bom: boolean
  readonly output: string | undefined
}

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
  form: Form,
): Promise<void> {
  await api.admin()
  const { err } = session.io
  const sink = form.output === undefined ? openPrinter(session, form) : openFile(form.output, form)
  const progress = createProgress(session, 'keys issued', rows.length)
  const keys: Issued[] = []
  try {
    for (const { line, body } of rows) {
      const key = { line, ...(await api.ask('POST /admin/keys', {}, body)) }
      await keep(api, sink, key)
      keys.push(key)
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
    sink.end()
  }
  const where =
    form.output === undefined ? '' : `, and ${keys.length === 1 ? 'is' : 'are'} in ${form.output}`
  err(`${issued(keys.length)}${where}; the secrets cannot be had again.\n`)
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

function openPrinter({ io }: Session, form: Form): Sink {
  const text = createText(form)
  return {
    async write(key) {
      io.out(text.of(key))
      await io.flush?.()
    },
    end() {
      io.out(text.end())
    },
  }
}

/** For its owner alone, and on the disk before the next key is issued. */
function openFile(path: string, form: Form): Sink {
  const fd = openNew(path)
  const text = createText(form)
  return {
    async write(key) {
      writeFileSync(fd, text.of(key))
      fsyncSync(fd)
    },
    end() {
      writeFileSync(fd, text.end())
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

/** The keys one after the other, and what stands behind the last. */
function createText({ asJson, bom }: Form): { of(key: Issued): string; end(): string } {
  let rows = 0
  const row = sheetWriter(bom)
  return {
    of(key) {
      const isFirst = rows++ === 0
      if (asJson) return `${isFirst ? '[' : ','}\n${JSON.stringify(key)}`
      const head = isFirst ? row(['line', 'id', 'name', 'key']) : ''
      return head + row([key.line, key.id, key.name, key.key])
    },
    end: () => (asJson ? (rows > 0 ? '\n]\n' : '[]\n') : ''),
  }
}
