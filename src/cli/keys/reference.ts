/**
 * How a command is told which key it is about. A whole key is a secret: others on the machine can see arguments, so that it
 * is read from standard input only.
 */
import { Misuse } from '../admin.ts'
import { readSecret } from '../input.ts'

export const KEY_ARGUMENT = 'its id (key_…), or - to read the whole key from standard input'

/** The path of the key in the API. */
export async function keyPath(argument: string): Promise<string> {
  return `/admin/keys/${encodeURIComponent(await keyReference(argument))}`
}

export async function keyReference(argument: string): Promise<string> {
  if (argument.startsWith('key_')) return argument
  if (argument === '-') return await readSecret('-')
  throw new Misuse(
    'A key is named by its id (key_…), which "quota-proxy keys list --q NAME" shows. To give the whole key, write - and put it on standard input: arguments can be seen by others.',
  )
}
