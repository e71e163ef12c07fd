/** For bash 4 and later, with nothing installed beside it. Pure. */
import type { Place, Value } from './places.ts'

export function bashScript(places: readonly Place[]): string {
  const paths = places.filter(({ path }) => path !== '').map(({ path }) => `'${path}'`)
  return `# Completes quota-proxy in bash.
_quota_proxy() {
  local current=\${COMP_WORDS[COMP_CWORD]} before='' path='' next='' i
  ((COMP_CWORD > 0)) && before=\${COMP_WORDS[COMP_CWORD - 1]}
  for ((i = 1; i < COMP_CWORD; i++)); do
    next="\${path:+$path }\${COMP_WORDS[i]}"
    case $next in
      ${paths.join(' | ')}) path=$next ;;
    esac
  done
  COMPREPLY=()
  case "$path $before" in
${places.flatMap(valueCases).join('')}  esac
  case $path in
${places.map(placeCase).join('')}  esac
}
complete -F _quota_proxy quota-proxy
`
}

function valueCases({ path, options }: Place): string[] {
  return options.flatMap(({ word, value }) =>
    value === null ? [] : [`    '${path} ${word}') ${reply(value)}; return ;;\n`],
  )
}

function placeCase({ path, commands, options, argument }: Place): string {
  const words = commands.map(({ word }) => word)
  const flags = options.map(({ word }) => word)
  const plain = words.length > 0 ? reply(words) : argument === null ? ':' : reply(argument)
  return `    '${path}')
      if [[ $current == -* ]]; then ${reply(flags)}; else ${plain}; fi ;;
`
}

/** The words are ours; only what was typed is held against them. */
function reply(value: Value): string {
  if (value === 'text') return ':'
  if (value === 'file')
    return 'compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$current")'
  return `mapfile -t COMPREPLY < <(compgen -W '${value.join(' ')}' -- "$current")`
}
