import { kollect } from './kollect.ts';

// `kollect lint … | head` closes the pipe early; that is no fault.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
});
try {
  process.exitCode = await kollect(process.argv.slice(2), process);
} catch (error) {
  // Not found nothing, and not found something: failed.
  process.stderr.write(`kollect failed, which is a fault of its own: ${error instanceof Error ? error.stack : String(error)}\n`);
  process.exitCode = 2;
}
