/** For fish, with what each word does. Pure. */
import type { Place, Value } from './places.ts'

export function fishScript(places: readonly Place[]): string {
  const paths = places.filter(({ path }) => path !== '').map(({ path }) => quoted(path))
  return `# Completes quota-proxy in fish.
function __quota_proxy_at
    set -l path ''
    for word in (commandline -opc)[2..-1]
        set -l next (string trim -- "$path $word")
        contains -- $next ${paths.join(' ')}; and set path $next
    end
    test "$path" = "$argv[1]"
end
complete -c quota-proxy -f
${places.flatMap(lines).join('\n')}
`
}

function lines({ path, commands, options, argument }: Place): string[] {
  const at = `complete -c quota-proxy -n ${quoted(`__quota_proxy_at ${quoted(path)}`)}`
  const isWords = typeof argument === 'object' && argument !== null
  return [
    ...commands.map(({ word, about }) => `${at} -a ${word} -d ${quoted(about)}`),
    ...options.map(
      ({ word, about, value }) => `${at} -l ${word.slice(2)}${follows(value)} -d ${quoted(about)}`,
    ),
    ...(isWords ? [`${at} -a ${quoted(argument.join(' '))}`] : []),
    ...(argument === 'file' ? [`${at} -F`] : []),
  ]
}

function follows(value: Value | null): string {
  if (value === null) return ''
  if (value === 'text') return ' -x'
  return value === 'file' ? ' -r -F' : ` -x -a ${quoted(value.join(' '))}`
}

function quoted(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`
}
