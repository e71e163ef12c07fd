/** The admin API as a command sees it, whichever way leads to it. */

/** `body` is what the JSON says, or the text if it is none. */
export type RawAnswer = { readonly status: number; readonly body: unknown }

export type Admin = {
  /** `process`: no server runs on this data directory, and the API answers within this process. */
  readonly transport: 'url' | 'socket' | 'process'
  request(method: string, path: string, body?: unknown): Promise<RawAnswer>
  close(): void | Promise<void>
}

export type Said = { readonly status: number; readonly text: string }
export type Call = (path: string, init: RequestInit) => Promise<Said>

export async function read(response: Response): Promise<Said> {
  return { status: response.status, text: await response.text() }
}

/** Speaks JSON over whichever transport. */
export function speak(
  transport: Admin['transport'],
  token: string | undefined,
  call: Call,
  close: () => void | Promise<void> = () => {},
): Admin {
  return {
    transport,
    close,
    async request(method, path, body) {
      const { status, text } = await call(path, {
        method,
        headers: {
          ...(token !== undefined && { authorization: `Bearer ${token}` }),
          ...(body !== undefined && { 'content-type': 'application/json' }),
        },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      })
      return { status, body: parse(text) }
    },
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
