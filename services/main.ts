#!/usr/bin/env node
/** The command `stockmesh`. What each command does stands in `cli/`, one file a command; `cli/program.ts` lists them all with their options. */
import { enableCompileCache } from 'node:module';
import { fileURLToPath } from 'node:url';

// Halves the start of every command. Beside the packages and not in the system's temporary folder, where others could put code. In the environment, so that the
// services that a command starts find even this file compiled: one that is not costs each of them the loading of Node's TypeScript parser.
process.env.NODE_COMPILE_CACHE ??= fileURLToPath(new URL('../node_modules/.cache/stockmesh', import.meta.url));
enableCompileCache();

// A reader that has seen enough (`| head`) is no failure, and a mesh whose terminal is gone must still stop in order.
for (const stream of [process.stdout, process.stderr])
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });

const { run } = await import('./cli/program.ts');
process.exitCode = await run(process.argv);
