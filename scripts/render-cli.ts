/** The text of docs/cli.md: the help of every command, as the program prints it. */
import type { Command } from 'commander'
import { createProgram } from '../src/cli/program.ts'

/** Fits the page of a repository. */
const COLUMNS = 100

export function renderCliMarkdown(): string {
  const io = { out() {}, err() {} }
  const program = createProgram({ env: {}, io, exitCode: 0 })
  const commands = walk(program)
  const list = commands
    .filter((command) => command.commands.length === 0)
    .map((command) => `| [\`${nameOf(command)}\`](#${anchorOf(command)}) | ${command.summary()} |`)
  return `# The command line

<!-- Made from src/cli/ by \`bun run generate\`; change it there. -->

One binary is the server and every tool for it. \`--help\` after any command says what stands below.

| Command | |
|---|---|
${list.join('\n')}

**Which server.** \`keys\`, \`usage\`, \`calls\`, \`upstreams\` and \`prices\` use the admin API of the server that runs on the data
directory of the settings, through its control socket (\`<DATA_DIR>/control.sock\`), which needs no token. If none runs they open
the database themselves, as the server would: it is migrated if it is older, and no server can start until they have
ended. With \`--url\` they use a server anywhere, with the token of \`--token-file\` or \`ADMIN_TOKEN\`; it is sent to
that address only, and redirects are not followed. A path in the URL is put before the paths of the API.

**Output.** Tables are for people, their times are UTC, and their form may change. They are as wide as the terminal, or as the
variable \`COLUMNS\` says: columns that have no room are left out, and named below. \`--json\` is for programs: what the API
answers, a list as one array with the rows of all pages. \`--csv\` ends its lines as a shell expects it, and with \`--bom\` as Excel does. Progress, warnings and errors go to standard error. A refusal
by the API is one line with its code and, for each field that is wrong, one more; with \`--json\`, it is the API's own problem as JSON.

**Exit codes.** 0 is done, 1 refused or failed, 2 wrong usage or configuration.

**Secrets.** What stands in a command line can be seen by other users of a machine, so no secret is taken from there: keys,
tokens and credentials come from files, or with \`-\` from standard input. New keys are printed to standard output, once, or
written to the file of \`--output\`.

**Questions.** What cannot be undone is asked about on a terminal. Elsewhere it needs \`--yes\`.

${commands.map(section).join('\n')}`
}

function walk(command: Command): Command[] {
  return [command, ...command.commands.flatMap((one) => walk(one as Command))]
}

function nameOf(command: Command): string {
  return command.parent ? `${nameOf(command.parent)} ${command.name()}` : command.name()
}

function anchorOf(command: Command): string {
  return nameOf(command).replaceAll(' ', '-')
}

function section(command: Command): string {
  let text = ''
  command.configureOutput({
    writeOut(part) {
      text += part
    },
    getOutHelpWidth: () => COLUMNS,
    getOutHasColors: () => false,
  })
  command.outputHelp()
  const marks = command.parent ? '#'.repeat(nameOf(command).split(' ').length) : '##'
  return `${marks} ${nameOf(command)}\n\n\`\`\`text\n${text.trim()}\n\`\`\`\n`
}
