import { KollectError } from '../../../shared/errors.ts';
import type { ProbeResult } from '../contract.ts';
import type { Connection } from './connection.ts';
import { nextRef } from './mirror.ts';
import type { GitSinkSettings } from './settings.ts';

/** Verifies what an export needs: address, host, login, branch, and that the user may push. Nothing is written. */
export async function probeRepository({ branch, mirror }: Connection, settings: GitSinkSettings, signal: AbortSignal): Promise<ProbeResult> {
  const { endpoint, branch: name, title, mustExist } = settings;
  return await branch.exclusively(async () => {
    const tip = await mirror.remoteTip(signal);
    if (tip === undefined && mustExist) throw new KollectError('KOL_SINK_SCHEMA', `branch ${JSON.stringify(name)} of ${title} does not exist: create the branch, or set spec.provisioning.mode to ensure`);
    if (tip === undefined) await mirror.verifyRoom(signal);
    // Any commit will do: the server says whether it would take it, and does not get it.
    const commit = await mirror.import([`reset ${nextRef}\n\ncommit ${nextRef}\nmark :1\ncommitter kollect <kollect@kollect.dev> 0 +0000\ndata 0\n\nget-mark :1\ndone\n`], signal);
    await mirror.push(commit, tip, signal, true);
    const way = endpoint.scheme === 'ssh' ? 'SSH' : endpoint.scheme === 'https' ? 'TLS' : 'HTTP without TLS';
    return { message: `${way} and git remote reachability verified: login succeeded, the user may push, ${tip === undefined ? `the first export will create the branch ${JSON.stringify(name)}` : `the branch ${JSON.stringify(name)} is there`}`, isPassing: tip === undefined };
  });
}
