/**
 * What is inside the binary: every package that a production dependency needs, with the version and the hash that
 * bun.lock holds it to, and the licence that it brings. It asks nobody but the lock file and the installed packages.
 */
import { readdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import manifest from '../../package.json' with { type: 'json' }

const ROOT = resolve(import.meta.dir, '../..')

export type Dependency = {
  readonly name: string
  readonly version: string
  /** `sha512-` and the hash in base64, as the lock file has it. */
  readonly integrity: string
  /** An SPDX expression, or what the package says instead. */
  readonly licence: string
  /** Paths of the files that hold the licence and what must be kept with it. */
  readonly texts: readonly string[]
  /** What it needs itself, as `name@version`. */
  readonly needs: readonly string[]
}

type Needs = Readonly<Record<string, string>>
type Entry = {
  readonly dependencies?: Needs
  readonly optionalDependencies?: Needs
  readonly peerDependencies?: Needs
  readonly optionalPeers?: readonly string[]
}
type Lock = {
  readonly packages: Readonly<Record<string, readonly [string, string, Entry, string]>>
}

/** Sorted by name. A package that is installed twice appears once for each version. */
export async function productionDependencies(): Promise<Dependency[]> {
  const lock = Bun.JSONC.parse(await Bun.file(join(ROOT, 'bun.lock')).text()) as Lock
  const places = new Set<string>()
  const waiting = Object.keys(manifest.dependencies).map((name) => place(lock, '', name))
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    if (places.has(next)) continue
    places.add(next)
    const from = next
    waiting.push(...needsOf(lock, from).map((name) => place(lock, from, name)))
  }
  const found = await Promise.all([...places].sort().map((at) => read(lock, at)))
  return found.sort((a, b) => (label(a) < label(b) ? -1 : 1))
}

export function label({ name, version }: Dependency): string {
  return `${name}@${version}`
}

/** The texts that a package's licence asks to be passed on. */
export async function licenceTexts({ texts }: Dependency): Promise<string[]> {
  const read = await Promise.all(texts.map((path) => Bun.file(path).text()))
  return read.map((text) => text.replaceAll('\r\n', '\n').trim())
}

function needsOf(lock: Lock, at: string): string[] {
  const entry = lock.packages[at]?.[2] ?? {}
  const peers = Object.keys(entry.peerDependencies ?? {})
  const needed = peers.filter((name) => !entry.optionalPeers?.includes(name))
  const wanted = { ...entry.dependencies, ...entry.optionalDependencies }
  return [...Object.keys(wanted), ...needed].sort()
}

/** Where the lock file has the package that `from` gets when it asks for `name`: its own, or that of whoever is above. */
function place(lock: Lock, from: string, name: string): string {
  for (let above = chain(from); ; above = above.slice(0, -1)) {
    const at = [...above, name].join('/')
    if (lock.packages[at]) return at
    if (above.length === 0) break
  }
  throw new Error(`bun.lock has no ${name}, which ${from || 'package.json'} needs`)
}

/** The packages on the way to a place, whose names may hold a slash themselves: `a/@b/c` is `a` and in it `@b/c`. */
function chain(at: string): string[] {
  return at.match(/(@[^/]+\/)?[^/]+/g) ?? []
}

async function read(lock: Lock, at: string): Promise<Dependency> {
  const [id = '', , , integrity = ''] = lock.packages[at] ?? []
  const split = id.lastIndexOf('@')
  const folder = join(ROOT, ...chain(at).flatMap((name) => ['node_modules', name]))
  const own = (await Bun.file(join(folder, 'package.json')).json()) as {
    license?: string
    licenses?: { type: string }[]
  }
  return {
    name: id.slice(0, split),
    version: id.slice(split + 1),
    integrity,
    licence: own.license ?? own.licenses?.map(({ type }) => type).join(' OR ') ?? 'none',
    texts: readdirSync(folder)
      .filter((file) => /^(licen[cs]e|notice|copying)/i.test(file))
      .sort()
      .map((file) => join(folder, file)),
    needs: needsOf(lock, at).map((name) => lock.packages[place(lock, at, name)]?.[0] ?? ''),
  }
}
