/** For zsh, with what each word does. Pure. */
import type { Place, Value, Word } from './places.ts'

export function zshScript(places: readonly Place[]): string {
  const paths = places.filter(({ path }) => path !== '').map(({ path }) => `'${path}'`)
  return `#compdef quota-proxy
# Completes quota-proxy in zsh.
_quota_proxy() {
  local command='' next='' word
  local -a found
  for word in "\${(@)words[2,CURRENT-1]}"; do
    next="\${command:+$command }$word"
    case $next in
      (${paths.join('|')}) command=$next ;;
    esac
  done
  case "$command \${words[CURRENT-1]}" in
${places.flatMap(valueCases).join('')}  esac
  case $command in
${places.map(placeCase).join('')}  esac
}
if [[ $funcstack[1] == _quota_proxy ]]; then _quota_proxy "$@"; else compdef _quota_proxy quota-proxy; fi
`
}

function valueCases({ path, options }: Place): string[] {
  return options.flatMap(({ word, value }) =>
    value === null ? [] : [`    ('${path} ${word}') ${offer(value)}; return ;;\n`],
  )
}

function placeCase({ path, commands, options, argument }: Place): string {
  const plain =
    commands.length > 0 ? describe('command', commands) : argument === null ? ':' : offer(argument)
  return `    ('${path}')
      if [[ $PREFIX == -* ]]; then
        ${describe('option', options)}
      else
        ${plain}
      fi ;;
`
}

function offer(value: Value): string {
  if (value === 'text') return ':'
  return value === 'file' ? '_files' : `compadd -- ${value.join(' ')}`
}

function describe(what: string, words: readonly Word[]): string {
  const list = words.map(({ word, about }) => quoted(`${word}:${about}`))
  return `found=(${list.join(' ')}); _describe ${what === 'option' ? '-o ' : ''}${what} found`
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`
}
