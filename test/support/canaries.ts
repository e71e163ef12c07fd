/** Finds secrets in what a program has said or written: plain or encoded, in whole or the middle of them. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** What is cut off at both ends: a hint may show a few characters, and an encoding may mix them with its neighbours. */
const END_CHARS = 8

export type Canaries = Readonly<Record<string, string | Buffer>>

/** The names of the secrets that are in it, each with how it is written there. */
export function findCanaries(said: string | Buffer, canaries: Canaries): string[] {
  const text = typeof said === 'string' ? said : said.toString('latin1')
  const lower = text.toLowerCase()
  return Object.entries(canaries).flatMap(([name, secret]) =>
    Object.entries(formsOf(Buffer.from(secret)))
      .filter(([form, needles]) =>
        needles.some((needle) =>
          form === 'base64' ? text.includes(needle) : lower.includes(needle.toLowerCase()),
        ),
      )
      .map(([form]) => `${name} ${form}`),
  )
}

/** Every file below a directory, but those that are named. */
export function filesBelow(directory: string, except: readonly string[] = []): [string, Buffer][] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !except.includes(entry.name))
    .map((entry) => {
      const path = join(entry.parentPath, entry.name)
      return [path, readFileSync(path)]
    })
}

function formsOf(secret: Buffer): Record<string, string[]> {
  const middle = secret.subarray(END_CHARS, -END_CHARS)
  if (middle.length < END_CHARS) throw new Error('a canary this short would be found by chance')
  const plain = middle.toString('latin1')
  const encoded = encodeURIComponent(plain)
  const bytes = [...middle].map((byte) => byte.toString(16).padStart(2, '0'))
  return {
    plain: [plain],
    hex: [bytes.join('')],
    percent: [bytes.map((byte) => `%${byte}`).join('')].concat(encoded === plain ? [] : [encoded]),
    base64: [0, 1, 2].flatMap((shift) => {
      // What stands before it decides how its bytes fall into groups of three.
      const groups = Buffer.from(
        middle.subarray(shift, middle.length - ((middle.length - shift) % 3)),
      )
      return [groups.toString('base64'), groups.toString('base64url')]
    }),
  }
}
