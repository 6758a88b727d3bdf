/** Who is at the other end of a connection. */
export interface Peer {
  readonly address: string;
  readonly port: number;
  /** Which it has shown for this connection, in DER. */
  readonly certificate?: Uint8Array | undefined;
}

/** Stands before a server and leads connections to it. */
export interface Front {
  /** Who is behind a connection that came to the server from this port; `undefined` where this front has led none there. */
  peerBehind(port: number): Peer | undefined;
  /** Takes no new connection; resolves when all that were taken are where they belong. Those live on. */
  close(): Promise<void>;
  /** Ends what lives on. */
  destroy(): void;
}

/** One before another: the outer one knows the addresses, the inner one what was said on the way. */
export const frontBefore = (outer: Front, inner: Front): Front => ({
  peerBehind(port) {
    const peer = inner.peerBehind(port);
    return peer && { ...peer, ...outer.peerBehind(peer.port) };
  },
  async close() {
    await outer.close();
    await inner.close();
  },
  destroy() {
    outer.destroy();
    inner.destroy();
  },
});
