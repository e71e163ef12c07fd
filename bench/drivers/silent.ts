/** A listener that takes connections and never says what a client waits for. */

/** `nothing`, or that it would speak TLS, and then nothing. */
export function silentPort(says: 'nothing' | 'yes'): { port: number; stop(): Promise<void> } {
  const listener = Bun.listen({
    hostname: 'localhost',
    port: 0,
    socket: {
      data(socket, bytes) {
        // The request for TLS has eight bytes; the handshake that follows gets no answer.
        if (says === 'yes' && bytes.length === 8) socket.write('S')
      },
    },
  })
  return {
    port: listener.port,
    async stop() {
      listener.stop(true)
    },
  }
}
