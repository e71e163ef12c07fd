/** What an envelope may hold; the property test tries what nobody thought of. */
import { expect, test } from 'bun:test'
import { parseEnvelope } from '../../src/proxy/request/envelope.ts'

const envelope = (members: string) => parseEnvelope(`{"endpoint":"http://a.test/",${members}}`)
const errors = (members: string) => {
  const result = envelope(members)
  return result.ok ? [] : result.errors.map(({ path, message }) => `${path} ${message}`)
}
const many = (length: number) => `{${Array.from({ length }, (_, i) => `"z${i}":"1"`).join(',')}}`

test('a body of any size and depth is carried as it is written', () => {
  const deep = `${'['.repeat(100_000)}${']'.repeat(100_000)}`
  for (const body of [many(100_000), deep, ' [ 1.0 ] '.trim(), '{"a":1,"a":1e400}']) {
    const result = envelope(`"body": ${body} `)
    expect(result.ok && result.envelope.body === body).toBe(true)
    expect(result.ok && result.envelope.headers['content-type']).toBe('application/json')
  }
})

test('a body in quotes is a text, and null is none', () => {
  const read = (members: string) => {
    const result = envelope(members)
    return result.ok ? [result.envelope.method, result.envelope.body] : result
  }
  expect(read('"body":"a\\u0041\\n"')).toEqual(['POST', 'aA\n'])
  expect(read('"body":""')).toEqual(['POST', ''])
  expect(read('"body": null ')).toEqual(['GET', null])
  expect(read('"body":1,"body":null')).toEqual(['GET', null])
  expect(read('"body":null,"body":[2]')).toEqual(['POST', '[2]'])
})

test('the last of twins counts, and a name in another case is unknown', () => {
  const result = envelope('"method":"GET","method":"PUT"')
  expect(result.ok && result.envelope.method).toBe('PUT')
  expect(errors('"Body":1')).toEqual([expect.stringContaining('has an unknown field')])
})

test('a field other than the body is refused if it holds more than anybody needs, whichever it is', () => {
  for (const field of ['method', 'headers', 'query', 'timeout_ms']) {
    for (const value of [many(100_000), `[${'['.repeat(10_000)}${']'.repeat(10_000)}]`]) {
      expect(errors(`"${field}":${value}`)).toEqual([
        `${field} must not hold more than 4000 values`,
      ])
    }
  }
  expect(errors(`"query":${many(1000)}`)).toEqual([])
  expect(errors(`"query":${many(1001)}`)).toEqual(['query must not have more than 1000 parameters'])
  expect(errors(`"headers":${many(101)}`)).toEqual(['headers must not have more than 100 members'])
})
