/** Whom a driver trusts: what each mode of TLS must take and must refuse, and that no attempt hangs. */
import type { Target } from './drivers.ts'
import { DRIVERS } from './drivers.ts'

export type Attempt = {
  readonly name: string
  readonly target: Target
  readonly mustConnect: boolean
}

export type Refusals = {
  /** Names of attempts that ended otherwise than they must. */
  readonly wrong: readonly string[]
  /** How each attempt ended, by its name. */
  readonly ends: Readonly<Record<string, string>>
}

/** Each driver is told to give up a connection after five seconds. */
const HUNG_MS = 12_000

export async function attempt(driver: string, attempts: readonly Attempt[]): Promise<Refusals> {
  const ends: Record<string, string> = {}
  const wrong: string[] = []
  for (const { name, target, mustConnect } of attempts) {
    const end = await one(driver, target)
    ends[name] = end
    if ((end === 'connected') !== mustConnect || end === 'hung') wrong.push(`${name}: ${end}`)
  }
  return { wrong, ends }
}

async function one(driver: string, target: Target): Promise<string> {
  const open = DRIVERS[driver]
  if (!open) throw new Error(`there is no driver ${driver}`)
  const session = await open(target, 1)
  const asked = session.ask('SELECT 1::int AS one', []).then(
    () => 'connected',
    (error) => `refused (${error instanceof Error ? error.message : error})`,
  )
  const end = await Promise.race([asked, Bun.sleep(HUNG_MS).then(() => 'hung')])
  void session.close().catch(() => {})
  return end
}
