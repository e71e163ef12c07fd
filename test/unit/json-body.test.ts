import { expect, test } from 'bun:test'
import { AppError } from '../../src/errors.ts'
import { parseJsonBody } from '../../src/http/request/json-body.ts'

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

const read = (body: string) =>
  parseJsonBody(
    new Request('http://localhost/', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
    }),
  ).catch((thrown: unknown) => thrown)

for (const [body, has] of [
  ['{"a":1,"a":1}', true],
  ['{"a":{"b":[{"c":1,"d":2,"c":3}]}}', true],
  ['{"a":"x" , "b":1,\n"\\u0061" :2}', true],
  ['{"l":[{"a":1},{"a":[],"":0,"":1}]}', true],
  ['{"a":{"b":1,"c":2},"a":null}', true],
  ['{"a":1,"A":1," a":1}', false],
  ['{"a":{"a":{"a":1}},"b":{"a":1}}', false],
  ['{"l":[{"a":1},{"a":1},"a","a"]}', false],
  ['{"a":"b","b":"a","c":["c","c"]}', false],
  ['{"a":"{\\"b\\":1,\\"b\\":2}"}', false],
] as const) {
  test(`${JSON.stringify(body)} has ${has ? 'a member twice and is refused' : 'each member once'}`, async () => {
    const found = await read(body)
    if (has)
      expect(found).toMatchObject({
        refusal: { errors: [{ message: 'must not hold a member twice' }] },
      })
    else expect(found).toEqual(JSON.parse(body))
  })
}
