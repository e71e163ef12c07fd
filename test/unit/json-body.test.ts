import { expect, test } from 'bun:test'
import { AppError } from '../../src/errors.ts'
import { parseJsonBody } from '../../src/http/json-body.ts'

const WAIT_MS = 20

test('a body that does not end in time is refused', async () => {
  const body = new ReadableStream({
    start(controller) {
      controller.enqueue(new TextEncoder().encode('{"name":'))
    },
  })
  const request = new Request('http://localhost/', { method: 'POST', body })
  const error = await parseJsonBody(request, WAIT_MS).catch((thrown: unknown) => thrown)
  expect(error).toBeInstanceOf(AppError)
  expect(error).toMatchObject({ refusal: { code: 'request_timeout' } })
})
