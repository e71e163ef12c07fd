/** `quota-proxy keys`. */
import type { Command } from 'commander'
import type { Session } from '../session.ts'
import { addKeyChanges } from './change.ts'
import { addKeyCreate } from './create.ts'
import { addKeyEnds } from './end.ts'
import { addKeyImport } from './import.ts'
import { addKeyReaders } from './read.ts'

export function addKeys(program: Command, session: Session): void {
  const keys = program
    .command('keys')
    .summary('issue and manage keys')
    .description('Issue, look at, change and end keys.')
  addKeyCreate(keys, session)
  addKeyReaders(keys, session)
  addKeyChanges(keys, session)
  addKeyEnds(keys, session)
  addKeyImport(keys, session)
}
