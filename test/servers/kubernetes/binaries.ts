import { pinnedVersion } from '../binary.ts';
import type { GoBinary } from '../binary.ts';

const version = pinnedVersion(import.meta.dirname, 'k8s.io/kubernetes');
const [major, minor] = version.split('.');
const versionPackage = 'k8s.io/component-base/version';

function kubernetesBinary<N extends string>(name: N): GoBinary & { name: N } {
  return {
    name,
    version,
    moduleFolder: import.meta.dirname,
    package: `k8s.io/kubernetes/cmd/${name}`,
    // Without these it calls itself 0.0.
    linkerFlags: [`-X ${versionPackage}.gitVersion=v${version}`, `-X ${versionPackage}.gitMajor=${major}`, `-X ${versionPackage}.gitMinor=${minor}`],
  };
}

export const kubeApiserverBinary = kubernetesBinary('kube-apiserver');
export const kubeControllerManagerBinary = kubernetesBinary('kube-controller-manager');
export const kubectlBinary = kubernetesBinary('kubectl');
