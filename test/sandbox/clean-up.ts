import { crdNames } from '../kollect/installation.ts';
import type { Kubectl } from '../servers/kubernetes/kubectl.ts';

/** On everything that the sandbox creates in a cluster that it was given. */
export const ownLabel = 'app.kubernetes.io/managed-by=kollect-sandbox';

/** A cluster that does not answer holds nobody up. */
const patience = '--request-timeout=20s';

/**
 * Removes what a sandbox created in a cluster, found by its label, after its controller and webhook have ended. CRDs stay while
 * somebody else has objects of their kinds. May be called again.
 */
export async function cleanUp(kubectl: Kubectl): Promise<void> {
  const run = (...args: string[]) => kubectl([...args, patience]);
  await run('delete', 'mutatingwebhookconfigurations,validatingwebhookconfigurations', '-l', ownLabel);
  const own = new Set(await namesOf(kubectl, 'namespaces'));
  const objects = await kollectObjects(kubectl);
  // There is no controller any more that would take them off.
  for (const { resource, namespace, name } of objects.filter(({ hasFinalizers }) => hasFinalizers)) {
    await run('patch', resource, name, ...(namespace === undefined ? [] : ['-n', namespace]), '--type=merge', '-p', '{"metadata":{"finalizers":null}}');
  }
  await kubectl(['delete', 'namespaces', '-l', ownLabel, '--timeout=120s']);
  if (objects.some(({ namespace }) => namespace === undefined || !own.has(namespace))) return;
  await kubectl(['delete', 'crds', '-l', ownLabel, '--timeout=60s']);
}

/** What the label is still on, such as `namespace/kollect-sandbox`. */
export async function remains(kubectl: Kubectl): Promise<string[]> {
  const { code, stdout, stderr } = await kubectl(['get', 'namespaces,crds,mutatingwebhookconfigurations,validatingwebhookconfigurations', '-l', ownLabel, '-o', 'name', patience]);
  if (code !== 0) throw new Error(stderr.trim());
  return stdout.split('\n').filter((line) => line !== '');
}

/** Which of our CRDs the cluster has, all or those of the sandbox. */
export async function presentCrds(kubectl: Kubectl): Promise<string[]> {
  const names = new Set(await namesOf(kubectl, 'crds', false));
  return crdNames.filter((name) => names.has(name));
}

export interface FoundObject {
  /** Such as `kollecttargets.kollect.dev`. */
  resource: string;
  namespace?: string;
  name: string;
  hasFinalizers: boolean;
}

/** All objects of our kinds in the cluster. */
export async function kollectObjects(kubectl: Kubectl): Promise<FoundObject[]> {
  const crds = await presentCrds(kubectl);
  const lists = await Promise.all(crds.map(async (resource) => ({ resource, result: await kubectl(['get', resource, '-A', '-o', 'json', patience]) })));
  return lists.flatMap(({ resource, result }) => {
    if (result.code !== 0) throw new Error(result.stderr);
    const { items } = JSON.parse(result.stdout) as { items: { metadata: { namespace?: string; name: string; finalizers?: string[] } }[] };
    return items.map(({ metadata: { namespace, name, finalizers = [] } }) => ({ resource, name, hasFinalizers: finalizers.length > 0, ...(namespace === undefined ? {} : { namespace }) }));
  });
}

async function namesOf(kubectl: Kubectl, resource: string, onlyOwn = true): Promise<string[]> {
  const { code, stdout, stderr } = await kubectl(['get', resource, ...(onlyOwn ? ['-l', ownLabel] : []), '-o', 'name', patience]);
  if (code !== 0) throw new Error(stderr);
  return stdout.split('\n').flatMap((line) => line.split('/')[1] ?? []);
}
