/** What listeners promise beyond what a tap shows: a document counts once, and the name of a model is not looked for on and on. */
import { describe, expect, test } from 'bun:test'
import { DocumentListener } from '../../src/metering/answer/document.ts'
import { EventListener } from '../../src/metering/answer/stream/event-listener.ts'
import type { Listener } from '../../src/metering/answer/tap.ts'

function listened(listener: Listener, pieces: readonly string[]): Listener {
  for (const piece of pieces) listener.take(Buffer.from(piece))
  listener.end()
  return listener
}

test('a document that is measured after it was read counts once', () => {
  // Without an id, two reports of one transcription are two transcriptions.
  const done = {
    type: 'conversation.item.input_audio_transcription.completed',
    transcript: 'Hello',
  }
  const document = JSON.stringify({ ...done, usage: { input_tokens: 3, output_tokens: 2 } })
  for (const pieces of [[document], [document.slice(0, 9), document.slice(9)]]) {
    const listener = listened(new DocumentListener(true), pieces)
    expect(listener.writtenBytes()).toBe(5)
    expect(listener.usage()).toMatchObject({ input: 3, output: 2 })
    expect(listener.writtenBytes()).toBe(5)
    expect(listener.usage()).toMatchObject({ input: 3, output: 2 })
  }
  const lines = listened(new DocumentListener(true), [`${document}\n${document}\n`])
  lines.writtenBytes()
  expect(lines.usage()).toMatchObject({ input: 6, output: 4 })
})

describe('the name of the model is looked for in four values', () => {
  const line = (value: object) => `${JSON.stringify(value)}\n`
  const event = (value: object) => `data: ${JSON.stringify(value)}\n\n`
  const forms: [form: string, make: () => Listener, write: (value: object) => string][] = [
    ['lines', () => new DocumentListener(true), line],
    ['events', () => new EventListener(), event],
  ]
  for (const [form, make, write] of forms) {
    const modelAfter = (unnamed: number, more: object = {}) => {
      const before = Array.from({ length: unnamed }, (_, n) => write({ type: `t${n}` }))
      const all = [...before, write({ model: 'm', ...more })]
      const models = [all, [all.join('')], [...all.join('')]].map(
        (pieces) => listened(make(), pieces).usage().model,
      )
      expect(new Set(models).size).toBe(1)
      return models[0]
    }

    test(`of ${form}, and no more`, () => {
      expect(modelAfter(0)).toBe('m')
      expect(modelAfter(3)).toBe('m')
      expect(modelAfter(4)).toBeUndefined()
    })

    test(`of ${form}, and in each that reports something`, () => {
      expect(modelAfter(9, { usage: { prompt_tokens: 1 } })).toBe('m')
    })

    test(`of ${form}, until it is known`, () => {
      const pieces = [write({ model: 'm' }), write({ model: 'n' })]
      expect(listened(make(), pieces).usage().model).toBe('m')
    })
  }
})
