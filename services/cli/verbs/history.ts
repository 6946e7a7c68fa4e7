/** Commands of historical downloads. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { ASSETS, SCHEMAS } from '../../history/dataset.ts';
import { dayField } from '../../history/fields.ts';
import { number, type Program, upTo, valid } from './arguments.ts';

const day = valid(dayField) as (text: string) => string;

/** Days before today that are shown when no first day is given. */
const SHOWN_DAYS = 90;

export function historyVerbs(program: Command, parts: Program): void {
  program.commandsGroup('Historical data:');
  const history = program.command('history').description('historical quotes, bars and end-of-day reports, stored as Parquet files');
  for (const asset of ASSETS) downloadVerb(history, asset, parts);
  gapVerbs(history, parts);
  objectVerbs(history, parts);
  keepVerbs(history, parts);
}

const gateway = (command: Command): Command =>
  command.option('--gateway <url>', 'ask this gateway, with the key in STOCKMESH_KEY, and not the mesh of the data folder');

const interval = (): Option => new Option('--interval <interval>', '1m, 5m, 10m, 15m, 30m or 1h; 15m if not given');

const schema = (standard: string): Option =>
  new Option('--schema <schema>', 'quote: bid and ask at each interval; ohlc: bars; eod: the end of each day')
    .choices(SCHEMAS)
    .default(standard);

const filters = (command: Command): Command =>
  command
    .addOption(new Option('--max-dte <days>', 'only contracts with at most so many days to expiration').argParser(upTo(365)))
    .option('--base-pct <share>', 'only strikes within underlying × share × √days of the underlying, such as 0.1', number);

const waiting = (command: Command): Command =>
  command
    .option('--wait', 'watch until the downloads have ended; Ctrl-C ends the watching alone')
    .addOption(new Option('--timeout <seconds>', 'longest wait; the downloads go on').argParser(upTo(30 * 86_400)));

function downloadVerb(history: Command, asset: (typeof ASSETS)[number], { all, finish }: Program): void {
  const command = history
    .command(asset)
    .argument(asset === 'option' ? '<root>' : '<symbol>')
    .description(asset === 'option' ? "download the history of a root's options" : 'download the history of a stock')
    .requiredOption('--from <day>', 'first day, YYYY-MM-DD', day)
    .option('--to <day>', 'last day; today if not given', day)
    .addOption(schema('eod'))
    .addOption(interval());
  if (asset === 'option') filters(command);
  command
    .option('--dry-run', 'show what would be downloaded, and ask for nothing')
    .option('--force', 'download complete objects again too')
    .addOption(new Option('--priority <n>', '1 (most urgent) to 10').argParser(upTo(10)));
  gateway(waiting(command)).action(async (root, options) =>
    finish(await (await import('../history/download.ts')).download(asset, root, all(options))),
  );
}

/** The dataset of a root and its days. */
function dataset(command: Command): Command {
  command
    .addOption(new Option('--dataset <asset>', 'of options or of the stock').choices(ASSETS).default('option'))
    .addOption(schema('eod'))
    .addOption(interval())
    .option('--from <day>', `first day; ${SHOWN_DAYS} days ago if not given`, day)
    .option('--to <day>', 'last day; today if not given', day);
  return filters(command);
}

/** The days that were left out. */
function withDays<T extends { from?: string; to?: string }>(options: T): T & { from: string; to: string } {
  const { to = Temporal.Now.plainDateISO('America/New_York').toString() } = options;
  const { from = Temporal.PlainDate.from(to).subtract({ days: SHOWN_DAYS }).toString() } = options;
  return { ...options, from, to };
}

function gapVerbs(history: Command, { all, finish }: Program): void {
  gateway(
    dataset(history.command('coverage').argument('<root>').description('show which days are stored, and why the others are not')),
  ).action(async (root, options) => finish(await (await import('../history/show.ts')).coverage(root, all(withDays(options)))));
  gateway(
    waiting(
      dataset(
        history
          .command('gaps')
          .argument('<root>')
          .description('show the days that are missing, failed or partial')
          .option('--fill', 'download them'),
      ),
    ),
  ).action(async (root, options) => finish(await (await import('../history/download.ts')).gaps(root, all(withDays(options)))));
}

function objectVerbs(history: Command, { all, finish }: Program): void {
  gateway(
    history
      .command('objects')
      .argument('[root]')
      .description('list the stored objects')
      .addOption(new Option('--dataset <asset>', 'only of options or of stocks').choices(ASSETS))
      .addOption(new Option('--schema <schema>', 'only of this schema').choices(SCHEMAS))
      .addOption(new Option('--limit <n>', 'at most this many').argParser(upTo(1_000)).default(50))
      .option('--cursor <key>', 'the next page'),
  ).action(async (root, options) => finish(await (await import('../history/show.ts')).objects(root, all(options))));
  gateway(
    history
      .command('show')
      .argument('<key>')
      .description('show one object: where it is from, its columns, its first rows')
      .addOption(new Option('--limit <n>', 'rows').argParser(upTo(1_000)).default(10)),
  ).action(async (key, options) => finish(await (await import('../history/show.ts')).show(key, all(options))));
  gateway(
    filters(
      history
        .command('chain')
        .argument('<root>')
        .description('show the chain at a moment, from the stored files')
        .requiredOption('--at <moment>', 'such as 2024-01-02T15:45:00Z or 2024-01-02T10:45-05:00', moment)
        .addOption(new Option('--schema <schema>', 'only from files of this schema').choices(SCHEMAS))
        .option('--interval <interval>', 'only from files of this interval')
        .addOption(new Option('--limit <n>', 'at most this many contracts').argParser(upTo(5_000)).default(40)),
    ),
  ).action(async (root, options) => finish(await (await import('../history/show.ts')).chain(root, all(options))));
  gateway(
    dataset(history.command('export').argument('<root>').description('write the rows of a range as CSV, to a file or to standard output'))
      .option('--out <file>', 'a new file; standard output if not given')
      .option('--allow-gaps', 'also where days of the range are not stored'),
  ).action(async (root, options) => finish(await (await import('../history/show.ts')).exportCsv(root, all(withDays(options)))));
}

function moment(text: string): string {
  try {
    return Temporal.Instant.from(text).toString();
  } catch {
    throw new InvalidArgumentError('Write a moment with its offset, such as 2024-01-02T15:45:00Z or 2024-01-02T10:45-05:00.');
  }
}

function keepVerbs(history: Command, { all, finish }: Program): void {
  history
    .command('verify')
    .argument('[root]')
    .description('read the stored files again, and compare them with the manifest')
    .action(async (root, options) => finish(await (await import('../history/keep.ts')).verify(root, all(options))));
  history
    .command('prune')
    .description('delete what interrupted downloads have left')
    .option('--dry-run', 'only show it')
    .action(async (options) => finish(await (await import('../history/keep.ts')).prune(all(options))));
}
