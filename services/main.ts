#!/usr/bin/env node
/** The command `stockmesh`. What each command does stands in `cli/`, one file a command; `cli/program.ts` lists them all with their options. */
import { enableCompileCache } from 'node:module';
import { fileURLToPath } from 'node:url';

// Halves the start of every command. Beside the packages and not in the system's temporary folder, where others could put code. In the environment, so that the
// services that a command starts find this file compiled too: else each of them loads Node's TypeScript parser.
process.env.NODE_COMPILE_CACHE ??= fileURLToPath(new URL('../node_modules/.cache/stockmesh', import.meta.url));
enableCompileCache();

// EPIPE is no failure: the reader of a pipe has ended (`| head`), or the terminal is gone. A mesh without a terminal must still stop its services.
for (const stream of [process.stdout, process.stderr])
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });

const { run } = await import('./cli/program.ts');
process.exitCode = await run(process.argv);
