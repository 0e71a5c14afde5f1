import { lookup } from 'node:dns/promises';
import { KollectError } from '../../../shared/errors.ts';
import { checkAddress, checkHost, type AddressPolicy } from '../../../shared/net/address-policy.ts';
import type { HostMap } from '../../../shared/net/host-map.ts';
import type { CheckedAddress, Dialer } from '../contract.ts';

export interface DialerOptions {
  policy: AddressPolicy;
  mapHosts?: HostMap | undefined;
  /** All addresses of a name; the system's resolver when unset. */
  lookupAll?: ((host: string) => Promise<readonly string[]>) | undefined;
}

/**
 * Resolves names anew on each dial and refuses the whole answer when one of its addresses is forbidden, so that a name cannot be
 * checked with one answer and dialled with the next.
 */
export function createDialer({ policy, mapHosts, lookupAll = systemLookup }: DialerOptions): Dialer {
  return {
    async resolve(host: string, port: number, as?: string): Promise<CheckedAddress> {
      const servername = host.replace(/^\[(.*)\]$/, '$1');
      // The operator said where it is, on the command line of a process outside a cluster.
      const mapped = mapHosts?.get(`${servername.toLowerCase()}:${port}`);
      if (mapped !== undefined) return { ...mapped, servername, others: [] };

      const subject = as ?? `host ${JSON.stringify(servername.slice(0, 253))}`;
      const refused = checkHost(host, policy);
      if (refused !== undefined) throw refusal(subject, servername, refused, as !== undefined);
      const addresses = await addressesOf(servername, subject, lookupAll);
      for (const address of addresses) {
        const reason = checkAddress(address, policy);
        if (reason !== undefined) throw refusal(subject, address, reason, as !== undefined);
      }
      const [first = '', ...others] = addresses;
      return { host: first, port, servername, others };
    },
  };
}

async function addressesOf(host: string, subject: string, lookupAll: NonNullable<DialerOptions['lookupAll']>): Promise<readonly string[]> {
  let code = 'no address';
  try {
    const addresses = await lookupAll(host);
    if (addresses.length > 0) return addresses;
  } catch (error) {
    code = (error as NodeJS.ErrnoException).code ?? code;
  }
  throw new KollectError('KOL_SINK_UNAVAILABLE', `${subject} cannot be resolved (${code}): correct the name, or look at the DNS of the cluster`);
}

async function systemLookup(host: string): Promise<readonly string[]> {
  // Clusters that have IPv6 addresses in DNS and no IPv6 route are more common than the opposite.
  return (await lookup(host, { all: true, order: 'ipv4first' })).map(({ address }) => address);
}

/** `reason` begins with the address that it is about, which is left out where the host must not be shown. */
function refusal(subject: string, address: string, reason: string, hidden: boolean): KollectError {
  const text = !hidden ? reason : reason.toLowerCase().startsWith(`${address.toLowerCase()} `) ? `it ${reason.slice(address.length + 1)}` : 'its address is not allowed';
  return new KollectError('KOL_SINK_ADDRESS', `${subject} is refused: ${text}: point the sink to another host`);
}
