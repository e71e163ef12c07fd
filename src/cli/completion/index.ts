/**
 * `quota-proxy completion bash|zsh|fish`: prints a script for the shell, made from the very
 * commands that there are. Pressing Tab runs nothing of this program and evaluates nothing that
 * was typed.
 */
import { Argument } from 'commander'
import type { CliCommand } from '../command.ts'
import { bashScript } from './bash.ts'
import { fishScript } from './fish.ts'
import { type Place, placesOf } from './places.ts'
import { zshScript } from './zsh.ts'

const SHELLS: Readonly<Record<string, (places: readonly Place[]) => string>> = {
  bash: bashScript,
  zsh: zshScript,
  fish: fishScript,
}

export function addCompletion(program: CliCommand): void {
  program
    .command('completion')
    .summary('print a script that completes commands in a shell')
    .description(
      'Print a script that completes commands and options in a shell when Tab is pressed.',
    )
    .addArgument(new Argument('<shell>', 'which shell').choices(Object.keys(SHELLS)))
    .action((shell: string) => {
      program.session.io.out(SHELLS[shell]?.(placesOf(program)) ?? '')
    })
    .examples(
      'quota-proxy completion bash > /etc/bash_completion.d/quota-proxy',
      "echo 'source <(quota-proxy completion zsh)' >> ~/.zshrc",
      'quota-proxy completion fish > ~/.config/fish/completions/quota-proxy.fish',
    )
}
