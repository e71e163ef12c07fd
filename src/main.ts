/** From arguments to an exit code. Nothing else in this program may end the process. */
import { runProgram } from './cli/program.ts'

type Stream = { readonly write: (text: string) => void; readonly flush: () => Promise<void> }

/** A pipe takes 64 KiB at once: what has not left the process yet would be lost with it. */
function stream(to: NodeJS.WriteStream): Stream {
  let written = Promise.resolve()
  return {
    write(text) {
      written = new Promise((resolve) => to.write(text, () => resolve()))
    },
    flush: () => written,
  }
}

const out = stream(process.stdout)
const err = stream(process.stderr)
const exitCode = await runProgram(process.argv.slice(2), process.env, {
  out: out.write,
  err: err.write,
  flush: out.flush,
})
await Promise.all([out.flush(), err.flush()])
process.exit(exitCode)
