/** What programs do with the package `ai`, whichever provider stands behind the model. */
import {
  APICallError,
  generateText,
  jsonSchema,
  type LanguageModel,
  type LanguageModelUsage,
  RetryError,
  streamText,
  type ToolSet,
} from 'ai'
import type { Ask, Sdk, Used } from './sdk.ts'

const ASK = { prompt: 'Wie heißt die Hauptstadt von 日本?', maxOutputTokens: 2_000 }
/** The declarations of `ai` do not fit `exactOptionalPropertyTypes` (7.0.173). */
const tools = {
  weather: { description: 'The weather', inputSchema: jsonSchema({ type: 'object' }) },
} as unknown as ToolSet

type Answer = {
  readonly text: string
  readonly calls: readonly unknown[]
  readonly usage: LanguageModelUsage
}

export async function askOf(model: LanguageModel): Promise<Answer> {
  const { text, usage } = await generateText({ model, ...ASK })
  return { text, calls: [], usage }
}

export async function streamOf(model: LanguageModel): Promise<Answer> {
  const result = stream(model)
  return { text: await result.text, calls: [], usage: await result.usage }
}

/** The names and arguments of what the model calls. */
async function toolsOf(model: LanguageModel, streamed = false): Promise<Answer> {
  const result = streamed ? stream(model, { tools }) : await generateText({ model, ...ASK, tools })
  const calls = (await result.toolCalls).map(({ toolName, input }) => ({ toolName, input }))
  return { text: await result.text, calls, usage: await result.usage }
}

function stream(model: LanguageModel, more: { tools?: ToolSet; abortSignal?: AbortSignal } = {}) {
  let failure: unknown
  const result = streamText({
    model,
    ...ASK,
    ...more,
    onError: ({ error }) => {
      failure ??= error
    },
  })
  // `ai` hides the cause behind an error of its own.
  const orCause = <T>(value: PromiseLike<T>): Promise<T> =>
    Promise.resolve(value).catch((error: unknown) => {
      throw failure ?? error
    })
  return {
    textStream: result.textStream,
    get text() {
      return orCause(result.text)
    },
    get usage() {
      return orCause(result.usage)
    },
    get toolCalls() {
      return orCause(result.toolCalls)
    },
  }
}

/** Reads two pieces and aborts, as a user does who presses stop. */
async function leaveAi(model: LanguageModel): Promise<void> {
  const controller = new AbortController()
  let read = 0
  const { textStream } = stream(model, { abortSignal: controller.signal })
  for await (const _ of textStream) if (++read === 2) controller.abort()
}

/** As the SDK has read it, which is code of its own. */
export function usedOf({ usage }: Answer): Used {
  return {
    input: usage.inputTokens ?? -1,
    output: usage.outputTokens ?? -1,
    cached: usage.inputTokenDetails.cacheReadTokens ?? 0,
    reasoning: usage.outputTokenDetails.reasoningTokens ?? 0,
  }
}

/** What every provider is asked, and how it is left. `model` is one of that name; `used` is what each question uses. */
export function askingAi<Provider>(
  model: (provider: Provider, name: string) => LanguageModel,
  [name, stalling]: readonly [name: string, stalling: string],
  used: Used | typeof usedOf = usedOf,
) {
  const of = (ask: (model: LanguageModel) => Promise<Answer>) => (provider: Provider) =>
    ask(model(provider, name))
  const asks: Record<string, Ask<Provider>> = {
    'an answer': [of(askOf), used],
    'a streamed answer': [of(streamOf), used],
    'a call of a tool': [of((one) => toolsOf(one)), used],
    'a streamed call of a tool': [of((one) => toolsOf(one, true)), used],
  }
  return {
    asks,
    leave: (provider) => leaveAi(model(provider, stalling)),
    exhausted: { whole: of(askOf), streamed: of(streamOf) },
    isOwnError: isAiError,
  } satisfies Partial<Sdk<Provider>>
}

/** It tries twice more by default, and then names the last error. */
function isAiError(error: unknown): boolean {
  const last = RetryError.isInstance(error) ? error.lastError : error
  return APICallError.isInstance(last) && last.statusCode === 429
}
