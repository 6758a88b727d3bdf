/** Whether nobody but this machine reaches an address `<host>:<port>`. An empty host is every address. */
export function isLoopback(addr: string): boolean {
  const host = addr.slice(0, Math.max(0, addr.lastIndexOf(":"))).toLowerCase();
  return host === "localhost" || host === "[::1]" || /^127(?:\.\d{1,3}){3}$/.test(host);
}
