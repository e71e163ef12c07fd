/** An unchanged program, written against `ai` and `@ai-sdk/anthropic`, gets the same through a mount, and its tokens are counted right. */
import { createAnthropic } from '@ai-sdk/anthropic'
import { ANTHROPIC_CREDENTIAL, STALLING, startAnthropic } from '../support/anthropic-server.ts'
import { askingAi } from '../support/vendors/ai.ts'
import { testSdk } from '../support/vendors/sdk.ts'

type Provider = ReturnType<typeof createAnthropic>

await testSdk<Provider>({
  api: startAnthropic(),
  base: '/v1',
  credential: { secret: ANTHROPIC_CREDENTIAL, header: 'x-api-key' },
  connect: (baseURL, apiKey) => createAnthropic({ baseURL, apiKey }),
  ...askingAi<Provider>((anthropic, name) => anthropic(name), ['claude-opus-5', STALLING]),
  // message_start says that 340 tokens of the cache were read or written.
  leftInput: 340,
})
