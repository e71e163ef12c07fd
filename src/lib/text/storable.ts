/** A text that somebody else made, as every database keeps it: without U+0000 and halves of surrogate pairs. */
export function storable(text: string): string {
  return text.toWellFormed().replaceAll('\0', '\ufffd')
}
