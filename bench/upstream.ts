/** The API behind every proxy: reads the request and gives one small answer of the shape that chat APIs give. */

const ANSWER = JSON.stringify({
  id: 'chatcmpl-9kq3WbT1uJ4oLr0ZyXc5',
  object: 'chat.completion',
  created: 1_767_225_600,
  model: 'deepseek-chat',
  choices: [
    {
      index: 0,
      message: { role: 'assistant', content: 'A quota is a promise with a number in it.' },
      finish_reason: 'stop',
    },
  ],
  usage: { prompt_tokens: 21, completion_tokens: 11, total_tokens: 32 },
})

Bun.serve({
  hostname: '127.0.0.1',
  port: Number(process.argv[2]),
  idleTimeout: 0,
  async fetch(request) {
    await request.arrayBuffer()
    return new Response(ANSWER, { headers: { 'content-type': 'application/json' } })
  },
})
