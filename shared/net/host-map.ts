import { KollectError } from '../errors.ts';
import { parseIpAddress } from './ip-address.ts';

/** Where `host:port` really is, by `host:port` in lower case. */
export type HostMap = ReadonlyMap<string, { host: string; port: number }>;

/**
 * Reads the values of `--map-host name:port=address:port`, which lets a process outside a cluster reach the names of Services.
 * Throws `KOL_CONFIG_FLAG`.
 *
 * @example parseHostMap(['postgres.kollect-system.svc:5432=127.0.0.1:15432'])
 */
export function parseHostMap(values: readonly string[]): HostMap {
  const map = new Map<string, { host: string; port: number }>();
  for (const value of values) {
    const match = /^([a-z0-9][a-z0-9.-]*):(\d{1,5})=(\[?[0-9a-f.:]+\]?):(\d{1,5})$/i.exec(value);
    const [, name = '', port = '', address = '', target = ''] = match ?? [];
    if (match === null || parseIpAddress(address) === undefined || !isPort(port) || !isPort(target)) {
      throw new KollectError('KOL_CONFIG_FLAG', `invalid value ${JSON.stringify(value)} for flag --map-host: write name:port=address:port, such as postgres.db.svc:5432=127.0.0.1:15432`);
    }
    map.set(`${name.toLowerCase()}:${Number(port)}`, { host: address.replaceAll(/[[\]]/g, ''), port: Number(target) });
  }
  return map;
}

function isPort(text: string): boolean {
  return Number(text) >= 1 && Number(text) <= 65_535;
}
