/**
 * Seals a secret so that it can be stored: AES-256-GCM, a fresh nonce each time, bound to the place
 * where it is stored. A text that was changed, or moved to another place, does not open; the answer
 * then says why, and never holds a part of the secret.
 */
import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto'

/** The length of a key of AES-256. */
export const KEY_BYTES = 32
/**
 * NIST SP 800-38D section 8.2.2: random nonces of 96 bits are safe for 2^32 sealings with one key.
 */
const NONCE_BYTES = 12
const TAG_BYTES = 16

const CIPHER = 'aes-256-gcm'

/** `v1`, the id of the key, and nonce, ciphertext and tag together. */
const SEALED = /^v1\.([0-9a-f]{8})\.([A-Za-z0-9_-]+)$/

export type Opened =
  | { readonly ok: true; readonly text: string }
  | {
      readonly ok: false
      readonly reason: 'malformed' | 'unknown_key' | 'damaged'
      /** What happened and what to do. */
      readonly message: string
    }

export type Sealer = {
  /** `place` says where the text is stored, such as `table.column:row`. */
  seal(text: string, place: string): string
  open(sealed: string, place: string): Opened
}

export type Keys = {
  /** All keys that may open, the sealing one first; empty if there is none yet. */
  all(): readonly Uint8Array[]
  /** Called when there is something to seal and no key. */
  create(): Uint8Array
}

/**
 * Asks for the keys whenever it needs one, so that a key need not exist before there is something
 * to seal.
 */
export function createSealer(keys: Keys): Sealer {
  return {
    seal(text, place) {
      const key = keys.all()[0] ?? keys.create()
      const nonce = randomBytes(NONCE_BYTES)
      const cipher = createCipheriv(CIPHER, key, nonce).setAAD(Buffer.from(place))
      const sealed = Buffer.concat([nonce, cipher.update(text, 'utf8'), cipher.final()])
      const whole = Buffer.concat([sealed, cipher.getAuthTag()])
      return `v1.${keyId(key)}.${whole.toString('base64url')}`
    },

    open(sealed, place) {
      const [, id, body = ''] = SEALED.exec(sealed) ?? []
      const bytes = Buffer.from(body, 'base64url')
      if (id === undefined || bytes.length < NONCE_BYTES + TAG_BYTES) return malformed()
      const key = keys.all().find((one) => keyId(one) === id)
      if (!key) return unknownKey(id)
      const text = decrypt(key, bytes, place)
      return text === null ? damaged() : { ok: true, text }
    },
  }
}

/** Names a key by eight digits of its hash, which tell nothing of it. */
export function keyId(key: Uint8Array): string {
  return createHash('sha256').update(key).digest('hex').slice(0, 8)
}

function decrypt(key: Uint8Array, bytes: Buffer, place: string): string | null {
  const nonce = bytes.subarray(0, NONCE_BYTES)
  // Given, because Node would also take a tag of four bytes, which can be guessed.
  const options = { authTagLength: TAG_BYTES }
  const decipher = createDecipheriv(CIPHER, key, nonce, options)
    .setAAD(Buffer.from(place))
    .setAuthTag(bytes.subarray(-TAG_BYTES))
  const text = decipher.update(bytes.subarray(NONCE_BYTES, -TAG_BYTES))
  try {
    return Buffer.concat([text, decipher.final()]).toString('utf8')
  } catch {
    return null
  }
}

function malformed(): Opened {
  const message =
    'It is not a sealed text of this version. Restore the database from a backup, or start the newer version that wrote it.'
  return { ok: false, reason: 'malformed', message }
}

function unknownKey(id: string): Opened {
  const message = `It was sealed with the secret key ${id}, which is not here. Put that key back: SECRET_KEY, SECRET_KEY_FILE or the file secret-key in the data directory. If it is lost, run: quota-proxy secret rotate --forget-lost`
  return { ok: false, reason: 'unknown_key', message }
}

function damaged(): Opened {
  const message =
    'It was changed or moved after it was sealed. Restore the database from a backup, or run: quota-proxy secret rotate --forget-lost'
  return { ok: false, reason: 'damaged', message }
}
