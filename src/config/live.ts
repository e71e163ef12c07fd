/**
 * The settings in force while the server runs. They can be read again. If anything is wrong then,
 * nothing changes. A setting that needs a restart keeps the value that it had at the start.
 */
import type { Environment } from './environment.ts'
import { loadConfig } from './load.ts'
import { type Config, ROWS } from './options.ts'

export type Reloaded<T> =
  | {
      readonly ok: true
      readonly prepared: T
      /** Names of the settings that have changed. */
      readonly changed: readonly string[]
      /** Names of the settings whose new value counts only after the next start. */
      readonly waiting: readonly string[]
    }
  | { readonly ok: false; readonly problems: readonly string[] }

export type LiveConfig = {
  /** A new object after each reload that has changed something; no object ever changes. */
  current(): Config
  /** `prepare` builds whatever depends on the new settings. If it throws, the old settings stay. */
  reload<T>(prepare: (config: Config) => T): Reloaded<T>
}

export function createLiveConfig(env: Environment, initial: Config): LiveConfig {
  let config = initial
  return {
    current: () => config,
    reload(prepare) {
      const loaded = loadConfig(env)
      if (!loaded.ok) return loaded
      const differing = ROWS.filter(
        ([field]) => !Bun.deepEquals(config[field], loaded.config[field]),
      )
      const waiting = differing.filter(([, { restart }]) => restart)
      const changed = differing.filter(([, { restart }]) => !restart)
      const kept = Object.fromEntries(waiting.map(([field]) => [field, config[field]]))
      const next = Object.freeze({ ...loaded.config, ...kept })
      try {
        const prepared = prepare(next)
        if (changed.length > 0) config = next
        return { ok: true, prepared, changed: namesOf(changed), waiting: namesOf(waiting) }
      } catch (error) {
        return { ok: false, problems: [error instanceof Error ? error.message : String(error)] }
      }
    },
  }
}

function namesOf(rows: typeof ROWS): string[] {
  return rows.map(([, { env }]) => env)
}

/** Returns a function that makes a value from the settings, anew only when they have changed. */
export function memoByConfig<T>(settings: () => Config, make: (config: Config) => T): () => T {
  let from = settings()
  let made = make(from)
  return () => {
    const config = settings()
    if (config !== from) {
      from = config
      made = make(config)
    }
    return made
  }
}
