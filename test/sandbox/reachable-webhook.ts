import { connect } from 'node:net';
import { networkInterfaces } from 'node:os';
import { isCalled, registrationFor } from '../kollect/registration.ts';
import type { WebhookProcess } from '../kollect/installation.ts';
import { eventually } from '../servers/eventually.ts';
import type { Kubectl } from '../servers/kubernetes/kubectl.ts';

/** An API server calls a new webhook within a second or two; a host that swallows packets costs the webhook's timeout on top. */
const patienceMs = 12_000;

/**
 * IPv4 addresses of this machine by which an API server may reach it, the likeliest first: the one that faces the server.
 *
 * @param server URL of the API server
 */
export async function addressesTowards(server: string): Promise<string[]> {
  const others = Object.values(networkInterfaces()).flatMap((addresses) => (addresses ?? []).filter(({ family, internal }) => family === 'IPv4' && !internal).map(({ address }) => address));
  const facing = await localAddress(new URL(server));
  return [...new Set([...(facing?.includes('.') ? [facing] : []), ...others])];
}

function localAddress({ hostname, port }: URL): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host: hostname.replace(/^\[|\]$/g, ''), port: Number(port || 443), family: 4 });
    const done = (address: string | undefined) => {
      socket.destroy();
      resolve(address);
    };
    socket.setTimeout(3_000, () => done(undefined));
    socket.once('error', () => done(undefined));
    socket.once('connect', () => done(socket.localAddress));
  });
}

/**
 * Registers the webhook under the first host by which the API server reaches it, and gives that host. When there is none, nothing stays
 * registered and the reasons are given.
 */
export async function registerReachable(kubectl: Kubectl, webhook: WebhookProcess, options: { hosts: readonly string[]; namespace: string; label: string }): Promise<{ host: string } | { reason: string }> {
  const { hosts, namespace, label } = options;
  const [key = '', value = ''] = label.split('=');
  const reasons: string[] = [];
  for (const host of hosts) {
    const url = `https://${host}:${webhook.port}`;
    const items = registrationFor({ url, caPem: webhook.caPem }).map((configuration) => labelled(configuration, { [key]: value }));
    const { code, stderr } = await kubectl(['apply', '-f', '-'], { stdin: JSON.stringify({ apiVersion: 'v1', kind: 'List', items }) });
    if (code !== 0) return { reason: stderr.trim() };
    const problem = await callProblem(kubectl, namespace, url);
    if (problem === undefined) return { host };
    reasons.push(`${host}: ${problem}`);
  }
  await kubectl(['delete', 'mutatingwebhookconfigurations,validatingwebhookconfigurations', '-l', label]);
  return { reason: reasons.join('; ') };
}

/** Undefined when the API server calls the webhook at `url`. */
async function callProblem(kubectl: Kubectl, namespace: string, url: string): Promise<string | undefined> {
  try {
    return await eventually(
      async () => {
        try {
          return (await isCalled(kubectl, namespace)) ? { problem: undefined } : undefined;
        } catch (error) {
          const message = error instanceof Error ? error.message : String(error);
          // Calls to the address tried before this one may still be failing.
          if (message.includes('failed calling webhook') && message.includes(url)) return { problem: reasonOf(message) };
          throw error;
        }
      },
      { timeoutMs: patienceMs, intervalMs: 200 },
    ).then(({ problem }) => problem);
  } catch {
    return `not called within ${patienceMs / 1000} s`;
  }
}

/** The end of `… failed to call webhook: Post "https://…": dial tcp 10.0.0.1:9443: connect: connection refused`. */
function reasonOf(message: string): string {
  return message.split('": ').at(-1)?.trim() ?? message;
}

function labelled(configuration: object, labels: Record<string, string>): object {
  const { metadata = {}, ...rest } = configuration as { metadata?: { labels?: Record<string, string> } };
  return { ...rest, metadata: { ...metadata, labels: { ...metadata.labels, ...labels } } };
}
