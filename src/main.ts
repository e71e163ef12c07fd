/** From arguments to an exit code. Nothing else in this program may end the process. */
import { raiseBound } from './lib/process/connections.ts'

const argv = process.argv.slice(2)
// First, as the process begins anew: whatever is loaded before would be loaded twice.
if (argv.length === 0 || argv[0] === 'serve') raiseBound(argv, process.env)
const { runProgram } = await import('./cli/program.ts')
const { ReaderGone } = await import('./cli/session.ts')

type Stream = { readonly write: (text: string) => void; readonly flush: () => Promise<void> }

/** A pipe takes 64 KiB at once: what has not left the process yet would be lost with it. */
function stream(name: 'stdout' | 'stderr'): Stream {
  let written = Promise.resolve()
  let isReaderGone = false
  let to: NodeJS.WriteStream | undefined
  const onError = () => {
    isReaderGone = true
  }
  return {
    write(text) {
      // Made when it is first used: a server logs by itself, and seldom needs either.
      to ??= process[name].on('error', onError)
      const stream = to
      written = new Promise((resolve) => {
        stream.write(text, (error) => {
          if (error) onError()
          resolve()
        })
      })
    },
    async flush() {
      await written
      if (isReaderGone) throw new ReaderGone()
    },
  }
}

const out = stream('stdout')
const err = stream('stderr')
const exitCode = await runProgram(argv, process.env, {
  out: out.write,
  err: err.write,
  flush: out.flush,
})
await Promise.allSettled([out.flush(), err.flush()])
process.exit(exitCode)
