/** The command line. The code of each command is loaded when it is called, so that all start fast. */

import { Command, CommanderError, Option } from 'commander';
import packageJson from '../../package.json' with { type: 'json' };
import { JOB_TYPES } from '../job-types/index.ts';
import type { JobType } from '../job-types/job-type.ts';
import { COMMAND } from '../platform/command-name.ts';
import { exitCodeOf, report, WRONG_USE } from './output/failure.ts';
import { offerJson } from './output/json-keys.ts';
import type { GlobalOptions } from './session.ts';
import { collect, type Program } from './verbs/arguments.ts';
import { historyVerbs } from './verbs/history.ts';
import { jobVerbs } from './verbs/jobs.ts';
import { notifyVerbs } from './verbs/notify.ts';
import { operateVerbs } from './verbs/operate.ts';
import { picksVerbs } from './verbs/picks.ts';
import { requestVerbs } from './verbs/request.ts';
import { runVerbs } from './verbs/run.ts';
import { showVerbs } from './verbs/show.ts';

/** Runs one command line and returns the exit code: 0, 1 when it failed, 2 for wrong usage. Errors are printed on standard error. */
export async function run(argv: readonly string[]): Promise<number> {
  let exitCode = 0;
  try {
    await commandLine((code) => {
      exitCode = code;
    }).parseAsync(argv);
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : WRONG_USE;
    report(error);
    return exitCodeOf(error);
  }
}

/** All commands with their options. `types`: the job types that have commands. */
export function commandLine(finish: (code: number) => void, types: readonly JobType[] = JOB_TYPES): Command {
  const program = new Command('stockmesh')
    .description('Keeps the stock data of the people who are about to look at it fresh.')
    .version(packageJson.version)
    .addOption(new Option('--data <folder>', 'data folder of the installation').env('STOCKMESH_DATA'))
    .addOption(new Option('--env <name>', 'environment: which config/<name>.yaml applies').env('STOCKMESH_ENV'))
    .option('--config <file>', 'configuration file; may be given several times, later ones win', collect)
    .option('--set <key=value>', 'one configuration key; may be given several times', collect)
    .exitOverride()
    .configureOutput({ outputError: (text, write) => write(`${oneLine(text)}; see "${COMMAND} --help"\n`) })
    .showSuggestionAfterError(true)
    .helpCommand(true)
    .addHelpText('after', '\nExit codes: 0 done, 1 failed, 2 used wrongly. With --json standard output is one JSON document.');

  const parts: Program = { all: (own) => ({ ...program.opts<GlobalOptions>(), ...own }), finish };
  runVerbs(program, parts);
  requestVerbs(program, parts, types);
  jobVerbs(program, parts, types);
  showVerbs(program, parts);
  historyVerbs(program, parts);
  picksVerbs(program, parts);
  operateVerbs(program, parts);
  notifyVerbs(program, parts);
  offerJson(program, types);
  return program;
}

/** "error: …\n(Did you mean …?)" as the one line that every error is. */
function oneLine(text: string): string {
  return text
    .replace(/^error: /, 'stockmesh: ')
    .trim()
    .replaceAll(/\s*\n\s*/g, ' ')
    .replace(/\.$/, '');
}
