/** Where a server listens. Without a host, on all addresses of the machine. */
export interface BindAddress {
  host?: string;
  port: number;
}

/**
 * Reads `:8081`, `127.0.0.1:8081`, `[::1]:8081`; `0` is off. Throws an `Error` that says what to write.
 *
 * @example parseBindAddress('127.0.0.1:8081') // { host: '127.0.0.1', port: 8081 }
 */
export function parseBindAddress(text: string): BindAddress | undefined {
  if (text === '0') return undefined;
  const match = /^(?:([^:[\]\s]+)|\[([0-9a-f:.]+)\])?:(\d{1,5})$/i.exec(text);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535) throw new Error('write :8081, 127.0.0.1:8081 or [::1]:8081, or 0 to switch it off');
  const host = match[1] ?? match[2];
  return host === undefined ? { port } : { host, port };
}
