/** Puts the upstreams that there are into the API document, so that its examples lead somewhere. Pure. */

export type UpstreamAtHand = { readonly name: string; readonly mount: string | null }

type Parameter = { readonly name: string; readonly in: string }
type Operation = { readonly parameters?: readonly Parameter[] }
type Document = { readonly paths?: Readonly<Record<string, Readonly<Record<string, Operation>>>> }

/** More would not help whoever reads the page. */
const UPSTREAMS_MAX = 20

const PATH = '/u/{upstream}/{path}'

/** The same document without any. */
export function withUpstreams(document: object, upstreams: readonly UpstreamAtHand[]): object {
  const { paths = {} } = document as Document
  const [first] = upstreams
  const operations = paths[PATH]
  if (first === undefined || operations === undefined) return document
  const known = upstreams.slice(0, UPSTREAMS_MAX).map(described).join(', ')
  const shown = Object.entries(operations).map(([method, operation]) => [
    method,
    {
      ...operation,
      parameters: operation.parameters?.map((parameter) =>
        parameter.name === 'upstream' && parameter.in === 'path'
          ? {
              ...parameter,
              description: `Name of an upstream. There are: ${known}.`,
              example: first.name,
            }
          : parameter,
      ),
    },
  ])
  return { ...document, paths: { ...paths, [PATH]: Object.fromEntries(shown) } }
}

function described({ name, mount }: UpstreamAtHand): string {
  return mount === null ? `\`${name}\`` : `\`${name}\` (at \`${mount}\`)`
}
