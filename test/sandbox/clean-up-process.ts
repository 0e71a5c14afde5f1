// Runs as a process of its own when the sandbox has ended, whatever ended it: `node clean-up-process.ts <kubectl> <kubeconfig> <cache folder>`.
import { kubectlFor } from '../servers/kubernetes/kubectl.ts';
import { cleanUp } from './clean-up.ts';

const [command = '', kubeconfig = '', cacheFolder = ''] = process.argv.slice(2);
await cleanUp(kubectlFor(command, { kubeconfig, cacheFolder }));
