#!/usr/bin/env node
/** The command `stockmesh`. Each command's code is loaded when it is called, so that all start fast. */
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import type { GlobalOptions } from './cli/session.ts';
import { ConfigError, InputError, messageOf } from './platform/errors.ts';

const WRONG_USE = 2;
const FAILURE = 1;

const program = new Command('stockmesh')
  .description('Keeps the stock data of the people who are about to look at it fresh.')
  .addOption(new Option('--data <folder>', 'data folder of the installation').env('STOCKMESH_DATA'))
  .addOption(new Option('--env <name>', 'environment: which config/<name>.yaml applies').env('STOCKMESH_ENV'))
  .option('--config <file...>', 'configuration files, later ones win')
  .option('--set <key=value...>', 'one configuration key')
  .exitOverride()
  .configureOutput({ outputError: (text, write) => write(`${text.replace(/^error: /, 'stockmesh: ').trimEnd()}; see "stockmesh --help"\n`) })
  .showSuggestionAfterError(true);

function globals(): GlobalOptions {
  return program.opts<GlobalOptions>();
}

program
  .command('up')
  .description('start the whole mesh on this machine: database, broker, services')
  .option('--yes', 'install what is missing without asking')
  .option('--workers <n>', 'worker processes', count, 1)
  .option('--mqtt-port <port>', 'port of the embedded broker', count)
  .option('--source <names>', 'market sources in the order in which they are asked, separated by commas')
  .option('--lean-path <folder>', 'a QuantConnect Lean data folder')
  .action(async (options) => finish(await (await import('./cli/up.ts')).up({ ...globals(), ...options })));

program
  .command('service')
  .argument('<name>', 'worker, scheduler or portfolio-priority')
  .option('--instance <name>', 'name of this process in the ledger and on the broker')
  .description('run one service in this process')
  .action(async (name, options) => finish(await (await import('./cli/service.ts')).service(name, { ...globals(), ...options })));

function count(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new InvalidArgumentError('must be a whole number from 1 on');
  return value;
}

function finish(code: number): void {
  process.exitCode = code;
}

try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : WRONG_USE;
  else {
    process.stderr.write(`stockmesh: ${messageOf(error)}\n`);
    process.exitCode = error instanceof InputError || error instanceof ConfigError ? WRONG_USE : FAILURE;
  }
}
