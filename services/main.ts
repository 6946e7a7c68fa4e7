#!/usr/bin/env node
/** The command `stockmesh`. What each command does stands in `cli/`, one file a command; `cli/program.ts` lists them all with their options. */
import { enableCompileCache } from 'node:module';
import { fileURLToPath } from 'node:url';

// Halves the start of every command. Beside the packages and not in the system's temporary folder, where others could put code.
enableCompileCache(fileURLToPath(new URL('../node_modules/.cache/stockmesh', import.meta.url)));

// A reader that has seen enough (`| head`) is no failure, and a mesh whose terminal is gone must still stop in order.
for (const stream of [process.stdout, process.stderr])
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });

const { run } = await import('./cli/program.ts');
process.exitCode = await run(process.argv);
