import { kollect } from './kollect.ts';

// `kollect lint … | head` closes the pipe early; that is no fault.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
});
process.exitCode = await kollect(process.argv.slice(2), process);
