/**
 * Finds images, sound and files in the text of a JSON request, where they stand as base64, and says how many tokens they are
 * about. A model reads them by their size in pixels, seconds or pages: their bytes say little. Pure; takes any text, in a
 * time that hardly grows with it.
 */

import { BYTES_PER_TOKEN } from '../count.ts'

export type Media = {
  /** Characters of the text that are no text to the model. */
  readonly chars: number
  /** Tokens that the model is expected to read in their place. */
  readonly tokens: number
}

const NONE: Media = { chars: 0, tokens: 0 }

/** Shorter runs count as text: that is at most as much as a small image. */
const RUN_CHARS_MIN = 1024
/** Any run of that length covers one whole window, however it lies. */
const WINDOW = RUN_CHARS_MIN / 2

/**
 * Tokens of one image. Anthropic: at most about 1,600 (docs.claude.com, "Vision"). OpenAI: 765 for a square of 1,024 pixels,
 * 1,105 for 2,048 by 4,096 (platform.openai.com, "Images and vision"). Gemini: 258 for each tile of 768 pixels
 * (ai.google.dev, "Understand and count tokens"). Read in November 2026.
 */
const IMAGE_TOKENS = 1600

/**
 * Tokens of one page: Anthropic takes 1,500 to 3,000 for its text, and its image besides (docs.claude.com, "PDF support").
 * A page with its fonts and pictures has about 100 KB.
 */
const PAGE_TOKENS = 3000
const PAGE_BYTES = 100_000

/**
 * Bytes of a token of sound and of video. Gemini counts 32 tokens for a second of sound and about 300 for one of video
 * (ai.google.dev, as above), OpenAI 10 for a second of sound. A second has about 32,000 bytes uncompressed, 4,000 compressed
 * as speech is, and 125,000 as video.
 */
const PLAIN_SOUND_BYTES = 1000
const SOUND_BYTES = 125
const VIDEO_BYTES = 400

type Kind = 'image' | 'plain sound' | 'sound' | 'video' | 'file' | 'text'

export function findMedia(text: string): Media {
  if (text.length < RUN_CHARS_MIN) return NONE
  let chars = 0
  let tokens = 0
  for (let at = 0; at + WINDOW <= text.length; at += WINDOW) {
    if (!isRun(text, at)) continue
    const start = runStart(text, at)
    const end = runEnd(text, at + WINDOW)
    at = end - (end % WINDOW)
    const kind = end - start < RUN_CHARS_MIN ? null : kindOf(text, start, end)
    if (kind === null) continue
    chars += end - start
    tokens += tokensOf(kind, ((end - start) / 4) * 3)
  }
  return chars === 0 ? NONE : { chars, tokens }
}

/** Base64 in either alphabet (RFC 4648), and the backslash with which JSON may escape its slashes and ends of lines. */
const IN_RUN = new Uint8Array(0x80)
for (const char of 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_=\\')
  IN_RUN[char.charCodeAt(0)] = 1

/** In words this ends after a few characters. */
function isRun(text: string, start: number): boolean {
  for (let at = start; at < start + WINDOW; at++)
    if (IN_RUN[text.charCodeAt(at)] !== 1) return false
  return true
}

function runStart(text: string, from: number): number {
  let at = from
  while (at > 0 && IN_RUN[text.charCodeAt(at - 1)] === 1) at--
  return at
}

function runEnd(text: string, from: number): number {
  let at = from
  while (at < text.length && IN_RUN[text.charCodeAt(at)] === 1) at++
  return at
}

/** How far around a run its type may stand, as `"media_type":"image/png"` or `"format":"wav"` does. */
const AROUND_CHARS = 200

/** Null if it may be text after all. */
function kindOf(text: string, start: number, end: number): Kind | null {
  if (text[end] !== '"') return null
  const before = text.slice(Math.max(0, start - AROUND_CHARS), start)
  const url = /data:([\w.+-]+\/[\w.+-]+)?(?:;[^",;]*)*;base64,$/i.exec(before)
  if (url) return byType(url[1] ?? '') ?? byMagic(text, start) ?? 'file'
  if (!before.endsWith('"')) return null
  const magic = byMagic(text, start)
  if (magic) return magic
  const after = text.slice(end, end + AROUND_CHARS)
  const type = TYPE.exec(before.slice(before.lastIndexOf('{')))?.[1] ?? TYPE.exec(after)?.[1]
  return type === undefined ? null : byType(type)
}

const TYPE = /"(?:media_?type|mime_?type|format)"\s*:\s*"([^"]{1,100})"/i

function byType(type: string): Kind | null {
  const name = type.toLowerCase()
  if (name.startsWith('image/')) return 'image'
  if (/^(?:audio\/)?(?:x-)?(?:wav|wave|pcm|l16|g711)/.test(name)) return 'plain sound'
  if (/^audio\/|^(?:mp3|mpeg|m4a|ogg|opus|flac|aac|webm)$/.test(name)) return 'sound'
  if (name.startsWith('video/')) return 'video'
  if (/^text\/|json$|xml$/.test(name)) return 'text'
  if (/^(?:png|jpe?g|gif|webp)$/.test(name)) return 'image'
  return /^application\/|^(?:pdf|docx?|xlsx?|pptx?)$/.test(name) ? 'file' : null
}

/** How files begin, in base64. */
const MAGIC: readonly (readonly [RegExp, Kind])[] = [
  [/^(?:\/|\\\/|_)9j/, 'image'], // JPEG
  [/^iVBORw0KGg/, 'image'], // PNG
  [/^R0lGOD/, 'image'], // GIF
  [/^UklGR.{7}RUJQ/, 'image'], // WebP
  [/^UklGR/, 'plain sound'], // WAV
  [/^JVBERi0/, 'file'], // PDF
  [/^UEsDB/, 'file'], // office documents
  [/^(?:SUQz|\/\/[su]|T2dnUw|ZkxhQw)/, 'sound'], // MP3, Ogg, FLAC
  [/^AAAA.{2}Z0eX/, 'video'], // MP4
  [/^GkXfo/, 'video'], // WebM
]

function byMagic(text: string, start: number): Kind | null {
  const head = text.slice(start, start + 32)
  return MAGIC.find(([pattern]) => pattern.test(head))?.[1] ?? null
}

/** Of a file of this type, such as `audio/wav`. */
export function fileTokens(type: string, bytes: number): number {
  return tokensOf(byType(type) ?? 'file', bytes)
}

function tokensOf(kind: Kind, bytes: number): number {
  switch (kind) {
    case 'image':
      return IMAGE_TOKENS
    case 'plain sound':
      return Math.ceil(bytes / PLAIN_SOUND_BYTES)
    case 'sound':
      return Math.ceil(bytes / SOUND_BYTES)
    case 'video':
      return Math.ceil(bytes / VIDEO_BYTES)
    case 'file':
      return Math.ceil(bytes / PAGE_BYTES) * PAGE_TOKENS
    case 'text':
      return Math.ceil(bytes / BYTES_PER_TOKEN)
  }
}
