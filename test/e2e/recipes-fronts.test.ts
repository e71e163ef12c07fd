/** The lines of the recipes for nginx and Caddy, in the real ones: they tell the client's address and hold no stream back. */
import { expect, test } from 'bun:test'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { readDocument } from '../support/markdown.ts'
import { addUpstream } from '../support/named-upstream.ts'
import { issueKey, startServer, temporaryDirectory } from '../support/server.ts'
import { freePort } from '../support/wire.ts'

const PATH = `${process.env['PATH']}:/usr/sbin`
/** Room enough on a busy machine. */
const FRONT_MS_MAX = 15_000

const page = await readDocument('docs/recipes.md')
const linesOf = (language: string) =>
  new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\`$`, 'ms').exec(page)?.[1] ?? ''

type Place = { readonly folder: string; readonly port: number; readonly target: string }

const FRONTS = {
  nginx({ folder, port, target }: Place) {
    const file = join(folder, 'nginx.conf')
    const lines = linesOf('nginx').replace('127.0.0.1:8787', target)
    writeFileSync(
      file,
      `daemon off; pid ${folder}/pid; error_log ${folder}/errors;
events {}
http { access_log off; client_body_temp_path ${folder}/b; proxy_temp_path ${folder}/p; fastcgi_temp_path ${folder}/f;
uwsgi_temp_path ${folder}/u; scgi_temp_path ${folder}/s;
server { listen 127.0.0.1:${port};
${lines}
} }
`,
    )
    return ['nginx', '-e', join(folder, 'errors'), '-c', file]
  },
  caddy({ folder, port, target }: Place) {
    const file = join(folder, 'Caddyfile')
    const lines = linesOf('caddy').replace('127.0.0.1:8787', target)
    const site = lines.replace('api.example.org {', `http://127.0.0.1:${port} {`)
    writeFileSync(file, `{\n\tadmin off\n}\n${site}`)
    return ['caddy', 'run', '--adapter', 'caddyfile', '--config', file]
  },
}

for (const [name, write] of Object.entries(FRONTS)) {
  const isThere = Bun.which(name, { PATH }) !== null
  test.skipIf(!isThere && !process.env['CI'])(
    `behind ${name} with these lines, a stream passes piece by piece and the client is known`,
    async () => {
      let goOn = () => {}
      const upstream = Bun.serve({
        hostname: '127.0.0.1',
        port: 0,
        fetch: () =>
          new Response(
            new ReadableStream({
              async start(controller) {
                controller.enqueue('data: first\n\n')
                await new Promise<void>((resolve) => {
                  goOn = resolve
                })
                controller.enqueue('data: second\n\n')
                controller.close()
              },
            }),
            { headers: { 'content-type': 'text/event-stream' } },
          ),
      })
      const server = await startServer({ TRUSTED_PROXIES: '127.0.0.1' })
      await addUpstream(server, { name: 'api', base_url: upstream.url.origin })
      const mine = await issueKey(server, { quota: 10, ip_allow: ['127.0.0.1'] })
      const folder = temporaryDirectory()
      const port = await freePort()
      const front = Bun.spawn(
        write({ folder, port: Number(port), target: new URL(server.directUrl).host }),
        {
          cwd: folder,
          env: { PATH, HOME: folder },
          stdin: 'ignore',
          stdout: 'ignore',
          stderr: 'ignore',
        },
      )
      try {
        const url = `http://127.0.0.1:${port}`
        await answering(`${url}/healthz`)
        const headers = { authorization: `Bearer ${mine.key}` }
        const response = await fetch(`${url}/u/api/x`, { headers })
        const reader = response.body?.getReader()
        const read = async () => Buffer.from((await reader?.read())?.value ?? []).toString()
        // Nothing more is sent before this has arrived.
        expect(await read()).toBe('data: first\n\n')
        goOn()
        expect(await read()).toBe('data: second\n\n')

        // What a client claims about its address is not believed.
        const theirs = await issueKey(server, { quota: 10, ip_allow: ['203.0.113.7'] })
        const claimed = await fetch(`${url}/u/api/x`, {
          headers: { authorization: `Bearer ${theirs.key}`, 'x-forwarded-for': '203.0.113.7' },
        })
        expect(claimed.status).toBe(403)
      } finally {
        front.kill('SIGTERM')
        await front.exited
        await upstream.stop(true)
        await server.stop()
      }
    },
    2 * FRONT_MS_MAX,
  )
}

async function answering(url: string): Promise<void> {
  const end = performance.now() + FRONT_MS_MAX
  for (;;) {
    const response = await fetch(url).catch(() => null)
    if (response?.ok) return
    if (performance.now() > end) throw new Error(`${url} does not answer`)
    await Bun.sleep(50)
  }
}
