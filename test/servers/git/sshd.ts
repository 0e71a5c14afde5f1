import { join } from 'node:path';
import { librariesIn, obtainPackages } from '../debian-packages.ts';
import type { ObtainOptions } from '../obtain.ts';

/** Folder with the programs of Debian's packages, unpacked and not installed. */
export interface SshdPrograms {
  sshd: string;
  /** For `LD_LIBRARY_PATH`. */
  libraries: string;
  /** Lets a process see users that the machine does not have. */
  nssWrapper: string;
}

/** Fetches sshd from Debian's packages, unless it lies in the cache. Rejects with `ObtainError`. */
export async function obtainSshd(options: ObtainOptions = {}): Promise<SshdPrograms> {
  const folder = await obtainPackages({ name: 'sshd', packages: ['openssh-server', 'libwrap0', 'libnss-wrapper'] }, options);
  const libraries = librariesIn(folder);
  return { sshd: join(folder, 'usr', 'sbin', 'sshd'), libraries, nssWrapper: join(libraries, 'libnss_wrapper.so') };
}
