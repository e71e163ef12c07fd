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

test('a body of more values than any route takes is refused, twins and all', async () => {
  const read = (body: string) =>
    parseJsonBody(
      new Request('http://localhost/', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body,
      }),
    ).catch((thrown: unknown) => thrown)
  const list = (length: number) => `{"a":[${Array(length).fill(0).join(',')}]}`
  expect(await read(list(9_998))).toMatchObject({ a: { length: 9_998 } })
  const twins = `{${Array(10_000).fill('"a":0').join(',')}}`
  for (const body of [list(9_999), twins, `{"a":${'['.repeat(20_000)}${']'.repeat(20_000)}}`]) {
    const error = await read(body)
    expect(error).toBeInstanceOf(AppError)
    expect(error).toMatchObject({
      refusal: {
        code: 'validation_failed',
        errors: [{ message: 'must not hold more than 10000 values' }],
      },
    })
  }
})
