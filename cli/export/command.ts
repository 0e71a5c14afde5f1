import type { Command } from '../command.ts';

/** The rest is loaded when it is called: whoever lints has no use for collection and sinks. */
export const exportCommand: Command = {
  name: 'export',
  summary: 'Export what targets collect, once: from files or a cluster, to a file, a folder or a sink.',
  run: async (argv, terminal) => (await import('./export-command.ts')).runExport(argv, terminal),
};
