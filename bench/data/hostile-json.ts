/** JSON that is as long as the proxy takes it, in every shape that costs a parser dearly. */

const MiB = 1024 * 1024
const BYTES = 10 * MiB - 1024

export type Shape = { readonly name: string; readonly json: string }

/** Made one after the other, so that only one is held. */
export function* hostileJson(): Generator<Shape> {
  const shapes: Record<string, () => string> = {
    'a chat of many messages': () =>
      `{"model":"m","messages":[${list((i) => `{"role":"user","content":"What is written here is number ${i}.\\n"}`)}]}`,
    'one long text': () => `{"a":"${'Some ordinary text. '.repeat(BYTES / 20)}"}`,
    'members of different names': () => `{${list((i) => `"a${i}":0`)}}`,
    'members deeper in': () => `{"messages":[{${list((i) => `"a${i}":0`)}}]}`,
    'twins of a member that matters': () => `{${list(() => '"model":"a"')}}`,
    'twins in escapes': () => `{${list(() => '"\\u006d\\u006f\\u0064\\u0065\\u006c":0')}}`,
    'names that nearly matter': () => `{${list(() => '"mode":0,"max_output_token":0')}}`,
    'names in escapes': () => `{${list((i) => `"\\u0041${i}":0`)}}`,
    'names of nothing': () => `{${list(() => '"":0')}}`,
    'lists in lists': () => `{"a":${'['.repeat(BYTES / 2)}${']'.repeat(BYTES / 2)}}`,
    'lists that never end': () => '['.repeat(BYTES),
    'objects in objects': () => `${'{"a":'.repeat(BYTES / 6)}0${'}'.repeat(BYTES / 6)}`,
    'a list of numbers': () => `{"a":[${list(() => '0')}]}`,
    'a list of fractions': () => `{"a":[${list(() => '-1.5e10')}]}`,
    'a list of words': () => `{"a":[${list(() => 'true')}]}`,
    'a list of objects': () => `{"a":[${list(() => '{}')}]}`,
    'a list of models': () => `{"models":[${list(() => '"a"')}]}`,
    'a text of escapes': () => `{"a":"${'\\u0041'.repeat(BYTES / 6)}"}`,
    'a text of backslashes': () => `{"a":"${'\\\\'.repeat(BYTES / 2)}"}`,
    'a text of quotes': () => `{"a":"${'\\"'.repeat(BYTES / 2)}"}`,
    'a number of many digits': () => `{"a":${'9'.repeat(BYTES)}}`,
    'white space': () => `{"a":${' '.repeat(BYTES)}0}`,
    'white space between numbers': () => `{"a":[${list(() => ' 0 ')}]}`,
    'cut off': () => `{"a":[${list(() => '{"b":"c"}')}`,
  }
  for (const [name, make] of Object.entries(shapes)) {
    // From bytes, as it comes from a client: what was put together from pieces would be put in one place only now.
    yield { name, json: Buffer.from(make()).toString() }
  }
}

function list(item: (i: number) => string): string {
  const items: string[] = []
  for (let bytes = 0; bytes < BYTES; bytes += (items.at(-1)?.length ?? 0) + 1) {
    items.push(item(items.length))
  }
  return items.join(',')
}
