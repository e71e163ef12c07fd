/** `quota-proxy version`: one line that identifies the build in a bug report. */
import { COMMIT, VERSION } from '../../lib/process/version.ts'
import type { CliCommand } from '../command.ts'

export function addVersion(program: CliCommand): void {
  program
    .command('version')
    .summary('print the version')
    .description('Print the version, the commit it was built from, and the runtime in it.')
    .action(() => program.session.io.out(`${versionLine()}\n`))
}

export function versionLine(): string {
  return `quota-proxy ${VERSION} (commit ${COMMIT}, Bun ${Bun.version})`
}
