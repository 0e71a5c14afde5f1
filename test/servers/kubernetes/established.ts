import { eventually } from '../eventually.ts';
import type { Kubectl } from './kubectl.ts';

/** Waits until the API server has taken the definitions: all, or those that are named. Rejects with what kubectl said last. */
export async function untilEstablished(kubectl: Kubectl, names: readonly string[] = ['--all']): Promise<void> {
  await eventually(
    async () => {
      // It gives up at once on a definition that has no conditions yet.
      const { code, stderr } = await kubectl(['wait', '--for=condition=Established', '--timeout=30s', 'crd', ...names]);
      if (code !== 0) throw new Error(stderr);
      return true;
    },
    { what: `the definitions ${names.join(', ')}` },
  );
}
