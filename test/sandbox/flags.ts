import { parseFlags } from '../../shared/flags.ts';
import type { FlagValues } from '../../shared/flags.ts';

const definitions = {
  once: { type: 'boolean', default: false, help: 'End after the tour, with code 0 when everything was as it should be, and 1 otherwise.' },
  kubeconfig: {
    type: 'string',
    default: '',
    placeholder: 'file',
    help: 'Use this cluster instead of starting one. Everything goes into the namespace kollect-sandbox, and what was created is removed in the end.',
  },
} as const;

export type SandboxFlags = FlagValues<typeof definitions>;

export function readFlags(argv: readonly string[]): SandboxFlags {
  return parseFlags(definitions, argv, { usage: 'npm run sandbox -- [flags]' });
}
