/** Listens to an answer of which one number is read: it is kept up to a bound, and read when it has ended. */
import type { Report } from '../reckon.ts'
import { NO_REPORT } from '../reckon.ts'
import { type ByteStore, createByteStore, MESSAGE_BYTES_MAX } from './byte-store.ts'
import { Content } from './content.ts'
import { readNumber } from './json-path.ts'
import type { MeteringTap } from './tap.ts'
import { type codingsOf, unpackInto } from './unpack.ts'

export function createNumberTap(codings: ReturnType<typeof codingsOf>, path: string): MeteringTap {
  const store = createByteStore()
  const content = new Content({
    type: '',
    keeps: false,
    listenerFor: (form) => (form === 'json' ? new Keeper(store) : null),
  })
  const unpacker = unpackInto(content, codings)
  let report: Report | null = null
  return {
    alters: false,
    pass(chunk) {
      unpacker.take(chunk)
      return chunk
    },
    flush: () => null,
    report() {
      if (report === null) {
        unpacker.close()
        report = { ...NO_REPORT, units: readNumber(UTF8.decode(store.view()), path) }
        store.clear()
      }
      return report
    },
    retained: () => content.retained,
  }
}

const UTF8 = new TextDecoder()

/** Keeps nothing of what is too long: a part of it is no JSON. */
class Keeper {
  readonly #store: ByteStore
  #isTooLong = false

  constructor(store: ByteStore) {
    this.#store = store
  }

  get retained(): number {
    return this.#store.capacity()
  }

  take(bytes: Uint8Array): void {
    this.#isTooLong ||= this.#store.length() + bytes.length > MESSAGE_BYTES_MAX
    if (this.#isTooLong) this.#store.clear()
    else this.#store.append(bytes)
  }
}
