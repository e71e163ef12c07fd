/**
 * Reads some members of a JSON text without building the others, so that no text takes long,
 * whatever it holds. It finds what JSON.parse would find, and says where that lies, so that it can
 * be cut out or replaced without touching the rest. Pure.
 */
import { ALIKE, isNamed, recogniser } from './name.ts'
import { scan } from './scan.ts'

/**
 * `start` and `end` enclose the value without the space around it. `values` counts the value and
 * all values in it.
 */
export type Member = { readonly start: number; readonly end: number; readonly values: number }

export type Found = {
  /** By name. Of several members with one name the last counts, as in JSON.parse. */
  readonly members: ReadonlyMap<string, Member>
  /**
   * Whether a name stands twice, or once more in another case: some parsers take the other member.
   */
  readonly ambiguous: boolean
  /** Whether the object has members of other names. */
  readonly others: boolean
}

/** Null if the JSON is no object; undefined if the text is no JSON. */
export type Finder = (json: string) => Found | null | undefined

/**
 * Returns a function that finds the members of these names, which must be ASCII. Of a name with
 * capitals it does not notice twins in another case.
 */
export function finder(names: readonly string[]): Finder {
  const recognise = recogniser(names)
  return (json) => {
    const members = new Map<string, { start: number; end: number; values: number }>()
    let ambiguous = false
    let others = false
    const isObject = beginsWith(json, '{')
    const all = scan(json, (start, end, values, nameStart, nameEnd) => {
      if (!isObject) return
      const which = recognise(json, nameStart, nameEnd)
      if (which === ALIKE) ambiguous = true
      const name = names[which]
      const twin = name === undefined ? undefined : members.get(name)
      if (name === undefined) others = true
      else if (!twin) members.set(name, { start, end, values })
      else {
        // The object is reused: there may be a million twins.
        ambiguous = true
        twin.start = start
        twin.end = end
        twin.values = values
      }
    })
    if (all === 0) return undefined
    return isObject ? { members, ambiguous, others } : null
  }
}

/**
 * Which members to read: a whole member, or some members of it. Under the name `[]` it says the same
 * of each item of a list.
 */
export type Shape = { readonly [name: string]: true | Shape }

/** How a shape names the items of a list. */
export const ITEMS = '[]'

/** No list whose items are read piece by piece has more that matter. */
const ITEMS_MAX = 1000

/**
 * No member that is read whole has more values. JSON.parse takes less than a millisecond for as
 * many.
 */
export const VALUES_MAX = 1000

/**
 * Returns a function that reads members as JSON.parse would, without the others and without those
 * that hold too many values. Undefined if the text is no object, nor a list whose items are asked for.
 */
export function picker(shape: Shape): (json: string) => object | undefined {
  const { [ITEMS]: items, ...membersShape } = shape
  const pickMembers = memberPicker(membersShape)
  if (items === undefined) return pickMembers
  const pickItem = items === true ? parseSmall : picker(items)
  return (json) => (beginsWith(json, '[') ? pickItems(json, pickItem) : pickMembers(json))
}

function parseSmall(json: string): unknown {
  return scan(json) <= VALUES_MAX ? JSON.parse(json) : undefined
}

/** Undefined if the text is no JSON. Items past the bound are left out. */
function pickItems(json: string, pickItem: (json: string) => unknown): object | undefined {
  const places: number[] = []
  const all = scan(json, (start, end) => {
    if (places.length < 2 * ITEMS_MAX) places.push(start, end)
  })
  if (all === 0) return undefined
  const picked: unknown[] = []
  for (let at = 0; at < places.length; at += 2)
    picked.push(pickItem(json.slice(places[at], places[at + 1])))
  return picked
}

function memberPicker(shape: Shape): (json: string) => object | undefined {
  const find = finder(Object.keys(shape))
  const pickers = new Map(
    Object.entries(shape).flatMap(([name, part]) => (part === true ? [] : [[name, picker(part)]])),
  )
  return (json) => {
    const found = find(json)
    if (!found) return undefined
    const picked: Record<string, unknown> = {}
    for (const [name, { start, end, values }] of found.members) {
      const pick = pickers.get(name) ?? (values <= VALUES_MAX ? JSON.parse : undefined)
      picked[name] = pick?.(json.slice(start, end))
    }
    return picked
  }
}

/**
 * The text of a member of an object (the last of that name) or of an item of an array; null if
 * there is none.
 */
export function childText(json: string, step: string | number): string | null {
  let index = 0
  if (!beginsWith(json, typeof step === 'number' ? '[' : '{')) return null
  let start = -1
  let end = 0
  const all = scan(json, (childStart, childEnd, _, nameStart, nameEnd) => {
    const isIt =
      typeof step === 'number' ? index++ === step : isNamed(json, nameStart, nameEnd, step)
    if (!isIt) return
    start = childStart
    end = childEnd
  })
  return all > 0 && start >= 0 ? json.slice(start, end) : null
}

function beginsWith(json: string, bracket: '{' | '['): boolean {
  return json[json.search(/[^ \t\n\r]/)] === bracket
}
