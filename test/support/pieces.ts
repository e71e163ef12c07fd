/** The bytes in pieces of these sizes, in turn; each is a part of a memory of its own, as a socket hands them on. */
export function cut(bytes: Uint8Array, sizes: readonly number[]): Uint8Array[] {
  const pieces: Uint8Array[] = []
  for (let at = 0, n = 0; at < bytes.length; n++) {
    const size = sizes[n % sizes.length] ?? 1
    const piece = bytes.subarray(at, at + size)
    const memory = new Uint8Array(piece.length + 2)
    memory.set(piece, 1)
    pieces.push(memory.subarray(1, piece.length + 1))
    at += size
  }
  return pieces
}
