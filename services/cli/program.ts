/** All commands and their options. Each command's code is loaded when it is called, so that all start fast. */
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import packageJson from '../../package.json' with { type: 'json' };
import { QUEUES, STATES } from '../ledger/job.ts';
import { MODES, type Mode } from '../market/options/scoring/parts.ts';
import { SIGNALS } from '../market/options/scoring/signals.ts';
import { exitCodeOf, report, WRONG_USE } from './output/failure.ts';
import { offerJson } from './output/json-keys.ts';
import type { GlobalOptions } from './session.ts';

const DEFAULT_MODES: Mode[] = ['monitor'];

/** Runs one command line; the exit code: 0, 1 when it failed, 2 when it was used wrongly. Errors are on standard error by then. */
export async function run(argv: readonly string[]): Promise<number> {
  let exitCode = 0;
  try {
    await commands((code) => {
      exitCode = code;
    }).parseAsync(argv);
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : WRONG_USE;
    report(error);
    return exitCodeOf(error);
  }
}

function commands(finish: (code: number) => void): Command {
  const program = new Command('stockmesh')
    .description('Keeps the stock data of the people who are about to look at it fresh.')
    .version(packageJson.version)
    .addOption(new Option('--data <folder>', 'data folder of the installation').env('STOCKMESH_DATA'))
    .addOption(new Option('--env <name>', 'environment: which config/<name>.yaml applies').env('STOCKMESH_ENV'))
    .option('--config <file>', 'configuration file; may be given several times, later ones win', collect)
    .option('--set <key=value>', 'one configuration key; may be given several times', collect)
    .exitOverride()
    .configureOutput({ outputError: (text, write) => write(`${oneLine(text)}; see "stockmesh --help"\n`) })
    .showSuggestionAfterError(true)
    .helpCommand(true)
    .addHelpText('after', '\nExit codes: 0 done, 1 failed, 2 used wrongly. With --json standard output is one JSON document.');

  /** What a command gets: the options of the program and its own. */
  const all = <Options extends object>(own: Options): GlobalOptions & Options => ({ ...program.opts<GlobalOptions>(), ...own });

  program.commandsGroup('Run:');
  program
    .command('up')
    .description('start the whole mesh on this machine: database, broker, services')
    .option('--yes', 'install what is missing without asking')
    .option('--workers <n>', 'worker processes', count, 1)
    .option('--mqtt-port <port>', 'port of the embedded broker', count)
    .option('--http-port <port>', 'port of the HTTP API', count)
    .option('--source <names>', 'market sources in the order in which they are asked, separated by commas')
    .option('--lean-path <folder>', 'a QuantConnect Lean data folder')
    .action(async (options) => finish(await (await import('./mesh/up.ts')).up(all(options))));
  program
    .command('demo')
    .description('the main job once: start a mesh of its own, sign the demo users in, show what lands, clean up')
    .option('--yes', 'install what is missing without asking')
    .option('--mqtt-port <port>', 'port of the embedded broker; a free one if not given', count)
    .option('--http-port <port>', 'port of the HTTP API; a free one if not given', count)
    .option('--source <names>', 'market sources in the order in which they are asked, separated by commas')
    .option('--lean-path <folder>', 'a QuantConnect Lean data folder')
    .addOption(new Option('--timeout <seconds>', 'longest wait for all to be fresh').argParser(upTo(86_400)).default(120))
    .action(async (options) => finish(await (await import('./mesh/demo.ts')).demo(all(options))));
  program
    .command('service')
    .argument('<name>', 'worker, scheduler, portfolio-priority or gateway')
    .option('--instance <name>', 'name of this process in the ledger and on the broker')
    .description('run one service in this process')
    .action(async (name, options) => finish(await (await import('./mesh/service.ts')).service(name, all(options))));

  program.commandsGroup('Ask for work:');
  waiting(program.command('login').argument('<user>').description('say that a user has signed in, as an application does')).action(
    async (user, options) => finish(await (await import('./commands/login.ts')).login(user, all(options))),
  );
  waiting(
    program.command('fetch').argument('[symbols...]').description('get newest bars of symbols, or of a whole portfolio, and analyse them'),
  )
    .option('--portfolio <user>', 'all that this user holds and watches, in batches')
    .option('--no-analysis', 'bars only')
    .action(async (symbols, options) => finish(await (await import('./commands/fetch.ts')).fetch(symbols, all(options))));
  waiting(program.command('history').argument('<symbol>').description('get the bars of a symbol over a range of days'))
    .requiredOption('--from <day>', 'first day, YYYY-MM-DD', day)
    .option('--to <day>', 'last day; today if not given', day)
    .action(async (symbol, options) => finish(await (await import('./commands/fetch.ts')).history(symbol, all(options))));

  waiting(
    program
      .command('rank')
      .argument('<symbols...>')
      .description('rank the options of symbols; prices that are not fresh are fetched first'),
  )
    .addOption(
      new Option('--mode <mode>', 'monitor (worth watching), entry (worth buying) or exit (held positions); may be given several times')
        .default(DEFAULT_MODES, 'monitor')
        .argParser(modes),
    )
    .action(async (symbols, options) => finish(await (await import('./commands/rank.ts')).rank(symbols, all(options))));

  program.commandsGroup('Jobs:');
  program
    .command('jobs')
    .description('list jobs, newest first')
    .addOption(new Option('--state <state>', 'only jobs in this state').choices(STATES))
    .addOption(new Option('--queue <queue>', 'only jobs of this queue').choices(QUEUES))
    .option('--symbol <symbol>', 'only jobs for this symbol')
    .option('--user <user>', 'only jobs that this user waits for')
    .option('--type <type>', 'only jobs of this type, such as fetch or analysis')
    .addOption(new Option('--limit <n>', 'at most so many').argParser(upTo(1_000)).default(20))
    .option('--before <id>', 'only jobs older than this one: the next page')
    .action(async (options) => finish(await (await import('./commands/jobs.ts')).jobs(all(options))));
  program
    .command('job')
    .argument('<id>')
    .description('show one job: why it has its priority, its attempts, its items, its result')
    .action(async (id, options) => finish(await (await import('./commands/jobs.ts')).job(id, all(options))));
  program
    .command('cancel')
    .argument('<id>')
    .description('cancel a job that has not ended')
    .action(async (id, options) => finish(await (await import('./commands/control.ts')).cancel(id, all(options))));
  program
    .command('retry')
    .argument('<id>')
    .description('start an ended job again, or a scheduled one now')
    .action(async (id, options) => finish(await (await import('./commands/control.ts')).retry(id, all(options))));
  program
    .command('redrive')
    .description('start all failed jobs again')
    .option('--type <type>', 'only jobs of this type')
    .option('--symbol <symbol>', 'only jobs for this symbol')
    .addOption(
      new Option('--state <state>', 'jobs that ended this way')
        .choices(['failed', 'expired', 'cancelled', 'completed_with_errors'])
        .default('failed'),
    )
    .action(async (options) => finish(await (await import('./commands/control.ts')).redrive(all(options))));

  program.commandsGroup('Look:');
  const portfolio = program.command('portfolio').description('who holds and watches what');
  portfolio
    .command('import')
    .argument('<csv>', 'file with the columns user,symbol,quantity,cost; - for standard input')
    .description('replace the portfolios of the users that a file names')
    .option('--user <user>', 'all lines are of this user; the file needs no such column')
    .action(async (file, options) => finish(await (await import('./commands/portfolio.ts')).importPortfolio(file, all(options))));
  portfolio
    .command('show')
    .argument('<user>')
    .description('show what a user holds, what it is worth, and how fresh that is')
    .action(async (user, options) => finish(await (await import('./commands/portfolio.ts')).showPortfolio(user, all(options))));
  program
    .command('symbol')
    .argument('<symbol>')
    .description('show what is known of a symbol, where from, and how fresh it is')
    .option('--indicators', 'with the value of each indicator')
    .action(async (symbol, options) => finish(await (await import('./commands/symbol.ts')).symbol(symbol, all(options))));
  program
    .command('ranks')
    .argument('<symbol>')
    .description('show the newest ranking of the options of a symbol')
    .addOption(new Option('--mode <mode>', 'monitor, entry or exit').choices(MODES).default('monitor'))
    .addOption(new Option('--limit <n>', 'at most so many').argParser(upTo(1_000)).default(20))
    .addOption(new Option('--side <side>', 'only calls or puts').choices(['call', 'put']))
    .option('--expiry <day>', 'only contracts that expire on this day, YYYY-MM-DD', day)
    .addOption(new Option('--signal <signal>', 'only contracts with this signal').choices(SIGNALS))
    .addOption(new Option('--min-rank <rank>', 'only contracts with at least this rank').argParser(score))
    .option('--contract <contract>', 'only this contract')
    .option('--user <user>', 'only positions of this user')
    .option('--sort <column>', 'by this column, best first, such as greeks_score or dte')
    .option('--cursor <cursor>', 'the next page of the same ranking')
    .option('--why', 'with what each rank is made of')
    .action(async (symbol, options) => finish(await (await import('./commands/ranks.ts')).ranks(symbol, all(options))));
  const position = program.command('position').description('option positions, which "rank --mode exit" ranks');
  position
    .command('add')
    .argument('<user>')
    .argument('<contract>', 'OCC symbol, such as AAPL270115C00250000')
    .description('note a position')
    .requiredOption('--price <dollars>', 'paid a share', Number)
    .option('--quantity <n>', 'contracts', Number, 1)
    .option('--target <dollars>', 'price of the underlying that is hoped for, with --entry-spot', Number)
    .option('--stop <share>', 'loss at which it is stopped, 0.5 is half of the price', Number)
    .option('--entry-spot <dollars>', 'price of the underlying at the entry', Number)
    .option('--entry-iv <iv>', 'implied volatility at the entry, 0.25 is 25 %', Number)
    .option('--opened <moment>', 'when, such as 2026-01-02T14:30:00Z; now if not given')
    .action(async (user, contract, options) => finish(await (await import('./commands/position.ts')).add(user, contract, all(options))));
  position
    .command('list')
    .argument('[user]')
    .description('list the positions of a user, or of all')
    .action(async (user, options) => finish(await (await import('./commands/position.ts')).list(user, all(options))));
  position
    .command('remove')
    .argument('<id>')
    .description('forget a position')
    .action(async (id, options) => finish(await (await import('./commands/position.ts')).remove(id, all(options))));
  program
    .command('stats')
    .description('show the mesh in figures: queues, rates, workers, alerts')
    .action(async (options) => finish(await (await import('./commands/stats.ts')).stats(all(options))));
  program
    .command('top')
    .description('watch queues, workers and the feed live')
    .action(async (options) => finish(await (await import('./commands/top.ts')).top(all(options))));

  program.commandsGroup('Operate:');
  const migrate = program.command('migrate').description('the schema of the database');
  migrate
    .command('up')
    .description('apply the migrations that are missing')
    .action(async (options) => finish(await (await import('./commands/migrate.ts')).up(all(options))));
  migrate
    .command('down')
    .description('take the newest migrations back; the rows of their tables are lost')
    .option('--steps <n>', 'how many', count, 1)
    .option('--yes', 'without asking')
    .action(async (options) => finish(await (await import('./commands/migrate.ts')).down(all(options))));
  migrate
    .command('status')
    .description('list all migrations and when each was applied')
    .action(async (options) => finish(await (await import('./commands/migrate.ts')).status(all(options))));
  const key = program.command('key').description('keys to the HTTP API');
  key
    .command('create')
    .description('make a key and show it, once')
    .requiredOption('--name <name>', 'who uses it')
    .requiredOption('--scope <scope>', 'read, jobs, admin or user:<id>; may be given several times', collect)
    .action(async (options) => finish(await (await import('./commands/key.ts')).create(all(options))));
  key
    .command('list')
    .description('list all keys, the newest first')
    .action(async (options) => finish(await (await import('./commands/key.ts')).list(all(options))));
  key
    .command('revoke')
    .argument('<id-or-name>')
    .description('end a key at once')
    .action(async (idOrName, options) => finish(await (await import('./commands/key.ts')).revoke(idOrName, all(options))));
  const config = program.command('config').description('the configuration');
  config
    .command('check')
    .argument('[files...]', 'the files to check; those that would be used if not given')
    .description('check configuration files')
    .action(async (files, options) => finish(await (await import('./commands/config.ts')).check(files, all(options))));
  config
    .command('show')
    .argument('[key]', 'a key, or the section that is of interest')
    .description('show the effective value of each key and where it comes from')
    .action(async (key, options) => finish(await (await import('./commands/config.ts')).show(key, all(options))));
  program
    .command('asyncapi')
    .description('print what the services say over MQTT, as an AsyncAPI document')
    .action(async () => finish(await (await import('./commands/asyncapi.ts')).asyncapi()));
  offerJson(program);
  return program;
}

function waiting(command: Command): Command {
  return command
    .option('--wait', 'until it is done: show progress, then what landed')
    .addOption(new Option('--timeout <seconds>', 'longest wait; the jobs go on').argParser(upTo(86_400)).default(120));
}

function modes(value: string, before: Mode[] | undefined): Mode[] {
  const mode = MODES.find((name) => name === value);
  if (mode === undefined) throw new InvalidArgumentError(`Allowed choices are ${MODES.join(', ')}.`);
  // The default goes with the first one that is given.
  return before === DEFAULT_MODES ? [mode] : [...(before ?? []), mode];
}

/** A score of 0 to 100. */
function score(text: string): number {
  const value = Number(text);
  if (text.trim() !== '' && value >= 0 && value <= 100) return value;
  throw new InvalidArgumentError('It must be a number from 0 to 100.');
}

function collect(value: string, before: readonly string[] = []): string[] {
  return [...before, value];
}

function count(text: string): number {
  return upTo(Number.MAX_SAFE_INTEGER)(text);
}

function upTo(most: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (Number.isInteger(value) && value >= 1 && value <= most) return value;
    throw new InvalidArgumentError(
      most === Number.MAX_SAFE_INTEGER ? 'It must be a whole number from 1 on.' : `It must be a whole number from 1 to ${most}.`,
    );
  };
}

/** A calendar day that exists. */
function day(text: string): string {
  try {
    if (/^\d{4}-\d{2}-\d{2}$/.test(text)) return Temporal.PlainDate.from(text).toString();
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
  }
  throw new InvalidArgumentError('Write a day as YYYY-MM-DD.');
}

/** "error: …\n(Did you mean …?)" as the one line that every error is. */
function oneLine(text: string): string {
  return text
    .replace(/^error: /, 'stockmesh: ')
    .trim()
    .replaceAll(/\s*\n\s*/g, ' ')
    .replace(/\.$/, '');
}
