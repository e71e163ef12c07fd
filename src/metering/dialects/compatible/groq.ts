/**
 * Groq: chat's `usage` in `x_groq` of the last event of a stream.
 *
 * https://console.groq.com/docs/api-reference#chat-create (2026-11-28)
 */
import type { Spelling } from '../openai/spelling.ts'

export const GROQ: Spelling = { places: [['x_groq', 'usage']] }
