/** Commands that show stored data. */
import { type Command, Option } from 'commander';
import { DEFAULT_MODE } from '../../job-types/rank/definition.ts';
import { MODES } from '../../market/options/scoring/parts.ts';
import { SIGNALS } from '../../market/options/scoring/signals.ts';
import { asCsv, day, number, type Program, score, upTo } from './arguments.ts';

export function showVerbs(program: Command, parts: Program): void {
  program.commandsGroup('Show data:');
  marketVerbs(program, parts);
  positionVerbs(program, parts);
  meshVerbs(program, parts);
}

function marketVerbs(program: Command, { all, finish }: Program): void {
  const portfolio = program.command('portfolio').description('the holdings and watched symbols of users');
  portfolio
    .command('import')
    .argument('<csv>', 'file with the columns user,symbol,quantity,cost; - for standard input')
    .description('replace the portfolios of the users that a file names')
    .option('--user <user>', 'all lines belong to this user; the file needs no user column')
    .option('--dry-run', 'only show what would change')
    .action(async (file, options) => finish(await (await import('../commands/portfolio.ts')).importPortfolio(file, all(options))));
  portfolio
    .command('show')
    .argument('<user>')
    .description('show the holdings of a user, their value and gain, and how fresh their data is')
    .addOption(asCsv())
    .action(async (user, options) => finish(await (await import('../commands/portfolio.ts')).showPortfolio(user, all(options))));
  program
    .command('symbol')
    .argument('<symbol>')
    .description('show the stored data of a symbol, its source, and how fresh it is')
    .option('--indicators', 'with the value of each indicator')
    .action(async (symbol, options) => finish(await (await import('../commands/symbol.ts')).symbol(symbol, all(options))));
  for (const [name, what] of [
    ['bars', 'the daily bars of a symbol'],
    ['indicators', 'the indicators of each bar of a symbol'],
  ] as const)
    program
      .command(name)
      .argument('<symbol>')
      .description(`list ${what}`)
      .option('--from <day>', 'from this day on, YYYY-MM-DD; the newest ones if not given', day)
      .option('--to <day>', 'to this day', day)
      .addOption(new Option('--limit <n>', 'at most this many, the newest').argParser(upTo(5_000)).default(20))
      .option('--raw', 'as they were traded, not adjusted for splits and dividends')
      .addOption(asCsv())
      .action(async (symbol, options) => finish(await (await import('../market/bars.ts'))[name](symbol, all(options))));
  program
    .command('signals')
    .argument('<symbol>')
    .description('list the signals of a symbol day by day, newest first')
    .option('--before <day>', 'only days before this one: the next page', day)
    .addOption(new Option('--limit <n>', 'at most this many').argParser(upTo(1_000)).default(20))
    .addOption(asCsv())
    .action(async (symbol, options) => finish(await (await import('../market/signals.ts')).signals(symbol, all(options))));
  program
    .command('ranks')
    .argument('<symbol>')
    .description('show the newest ranking of the options of a symbol')
    .addOption(new Option('--mode <mode>', 'monitor, entry or exit').choices(MODES).default(DEFAULT_MODE))
    .addOption(new Option('--limit <n>', 'at most this many').argParser(upTo(1_000)).default(20))
    .addOption(new Option('--side <side>', 'only calls or puts').choices(['call', 'put']))
    .option('--expiry <day>', 'only contracts that expire on this day, YYYY-MM-DD', day)
    .addOption(new Option('--signal <signal>', 'only contracts with this signal').choices(SIGNALS))
    .addOption(new Option('--min-rank <rank>', 'only contracts with at least this rank').argParser(score))
    .option('--contract <contract>', 'only this contract')
    .option('--user <user>', 'only positions of this user')
    .option('--sort <column>', 'by this column, best first, such as greeks_score or dte')
    .option('--cursor <cursor>', 'the next page of the same ranking')
    .option('--why', 'with the parts of each rank')
    .addOption(asCsv())
    .action(async (symbol, options) => finish(await (await import('../commands/ranks.ts')).ranks(symbol, all(options))));
}

function positionVerbs(program: Command, { all, finish }: Program): void {
  const position = program.command('position').description('option positions, which "rank --mode exit" ranks');
  position
    .command('add')
    .argument('<user>')
    .argument('<contract>', 'OCC symbol, such as AAPL270115C00250000')
    .description('add a position')
    .requiredOption('--price <dollars>', 'price paid, a share', number)
    .option('--quantity <n>', 'contracts', number, 1)
    .option('--target <dollars>', 'target price of the underlying, with --entry-spot', number)
    .option('--stop <share>', 'loss at which the position is stopped, 0.5 is half of the price', number)
    .option('--entry-spot <dollars>', 'price of the underlying at the entry', number)
    .option('--entry-iv <iv>', 'implied volatility at the entry, 0.25 is 25 %', number)
    .option('--opened <moment>', 'time of the purchase, such as 2026-01-02T14:30:00Z; now if not given')
    .action(async (user, contract, options) => finish(await (await import('../commands/position.ts')).add(user, contract, all(options))));
  position
    .command('list')
    .argument('[user]')
    .description('list the positions of a user, or of all, with value and gain')
    .addOption(asCsv())
    .action(async (user, options) => finish(await (await import('../commands/position.ts')).list(user, all(options))));
  position
    .command('remove')
    .argument('<id>')
    .description('remove a position')
    .action(async (id, options) => finish(await (await import('../commands/position.ts')).remove(id, all(options))));
}

function meshVerbs(program: Command, { all, finish }: Program): void {
  program
    .command('stats')
    .description('show the metrics of the mesh: queues, rates, workers, alerts')
    .action(async (options) => finish(await (await import('../commands/stats.ts')).stats(all(options))));
  program
    .command('top')
    .description('watch queues, workers and the feed live')
    .action(async (options) => finish(await (await import('../commands/top.ts')).top(all(options))));
}
