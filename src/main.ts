/** From arguments to an exit code. Nothing else in this program may end the process. */
import { runProgram } from './cli/program.ts'

const exitCode = await runProgram(process.argv.slice(2), process.env, {
  out: (text) => process.stdout.write(text),
  err: (text) => process.stderr.write(text),
})
process.exit(exitCode)
