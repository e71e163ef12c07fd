/**
 * The settings in force while the server runs. They can be read again; if anything is wrong with what is then found, nothing
 * changes. What needs a restart keeps the value that it had at the start.
 */
import { type Environment, loadConfig } from './load.ts'
import { type Config, ROWS } from './options.ts'

export type Reloaded<T> =
  | {
      readonly ok: true
      readonly prepared: T
      /** Names of the settings that have changed. */
      readonly changed: readonly string[]
      /** Names of those whose new value counts after the next start only. */
      readonly waiting: readonly string[]
    }
  | { readonly ok: false; readonly problems: readonly string[] }

export type LiveConfig = {
  /** Another object after each reload that has changed something, never a changed one. */
  current(): Config
  /** `prepare` makes of the new settings what depends on them; if it throws, they are not taken. */
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

/** What is made from the settings, made anew when they have changed. */
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
