/**
 * How a command is told which key it is about. A whole key is a secret, and others on the machine
 * can see arguments: a whole key is read from standard input only.
 */
import { readSecret } from '../input.ts'
import { Misuse } from '../session.ts'

export const KEY_ARGUMENT = 'its id (key_…), or - to read the whole key from standard input'

/** The key as a parameter of a route. */
export async function keyGiven(argument: string): Promise<{ readonly key: string }> {
  if (argument.startsWith('key_')) return { key: argument }
  if (argument === '-') return { key: await readSecret('-') }
  throw new Misuse(
    'A key is named by its id (key_…), which "quota-proxy keys list --q NAME" shows. To give the whole key, write - and put it on standard input: arguments can be seen by others.',
  )
}
