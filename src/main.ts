/** From arguments to an exit code. Nothing else in this program may end the process. */
import { raiseBound } from './lib/process/connections.ts'

const argv = process.argv.slice(2)
// First, as the process begins anew: whatever is loaded before would be loaded twice.
if (argv.length === 0 || argv[0] === 'serve') raiseBound(argv, process.env)
const { runProgram } = await import('./cli/program.ts')
const { ReaderGone } = await import('./cli/session.ts')
const { errorCode } = await import('./lib/error-code.ts')

type Stream = { readonly write: (text: string) => void; readonly flush: () => Promise<void> }

/** A pipe takes 64 KiB at once: what has not left the process yet would be lost with it. */
function stream(name: 'stdout' | 'stderr'): Stream {
  let written = Promise.resolve()
  let failure: Error | undefined
  let to: NodeJS.WriteStream | undefined
  const onError = (error: Error) => {
    const code = errorCode(error)
    failure ??=
      code === 'EPIPE' ? new ReaderGone() : new Error(`${name} cannot be written (${code}).`)
  }
  return {
    write(text) {
      // Made when it is first used: a server logs by itself, and seldom needs either.
      to ??= process[name].on('error', onError)
      const stream = to
      written = new Promise((resolve) => {
        stream.write(text, (error) => {
          if (error) onError(error)
          resolve()
        })
      })
    },
    async flush() {
      await written
      if (failure) throw failure
    },
  }
}

const out = stream('stdout')
const err = stream('stderr')
let exitCode = await runProgram(argv, process.env, {
  out: out.write,
  err: err.write,
  flush: out.flush,
})
const unwritten = await out.flush().catch((error: Error) => error)
if (exitCode === 0 && unwritten && !(unwritten instanceof ReaderGone)) {
  err.write(`quota-proxy: ${unwritten.message}\n`)
  exitCode = 1
}
await err.flush().catch(() => {})
process.exit(exitCode)
