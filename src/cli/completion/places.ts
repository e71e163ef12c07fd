/** Every place of the command line that a shell can complete, read off the commands. Pure. */
import type { Command } from 'commander'

export type Word = { readonly word: string; readonly about: string }

/** What may follow an option: one of some words, a file, or what nobody can know. */
export type Value = readonly string[] | 'file' | 'text'

export type Place = {
  /** The commands before it, with spaces: `keys list`; empty at the beginning. */
  readonly path: string
  readonly commands: readonly Word[]
  readonly options: readonly (Word & { readonly value: Value | null })[]
  /** Of the first argument. */
  readonly argument: Value | null
}

export function placesOf(program: Command): Place[] {
  return walk(program, '')
}

function walk(command: Command, path: string): Place[] {
  const help = command.createHelp()
  const commands = help.visibleCommands(command)
  const argument = command.registeredArguments[0]
  const place: Place = {
    path,
    commands: commands.map((one) => ({
      word: one.name(),
      about: one.summary() || one.description(),
    })),
    options: help.visibleOptions(command).flatMap((option) => {
      const { long, description: about, flags, argChoices, required, optional } = option
      const value = required || optional ? valueAfter(flags, argChoices) : null
      return long ? [{ word: long, about, value }] : []
    }),
    argument: argument ? valueAfter(`<${argument.name()}>`, argument.argChoices) : null,
  }
  const below = commands
    .filter((one) => one.name() !== 'help')
    .flatMap((one) => walk(one, path === '' ? one.name() : `${path} ${one.name()}`))
  return [place, ...below]
}

function valueAfter(flags: string, choices: readonly string[] | undefined): Value {
  if (choices) return choices
  return /<(?:file|directory)>/.test(flags) ? 'file' : 'text'
}
