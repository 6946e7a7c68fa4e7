/** `stockmesh fetch` and `stockmesh history`: work that is asked for by hand. */
import { type EnqueueAnswer, enqueue, type JobRequest } from '../../ledger/enqueue/enqueue.ts';
import { analysisRequest, fetchRequest, historyRequest, type Origin, portfolioBatches } from '../../ledger/requests.ts';
import { readHoldings } from '../../market/portfolios/holdings.ts';
import { parseSymbol } from '../../market/symbol.ts';
import { systemClock } from '../../platform/clock.ts';
import { InputError } from '../../platform/errors.ts';
import { FAILURE } from '../output/failure.ts';
import { print, printJson } from '../output/print.ts';
import { type Column, plain, table } from '../output/table.ts';
import { conclude, untilLanded, type WaitOptions, withWatch } from '../output/wait.ts';
import { type GlobalOptions, reachable, type Session, withSession } from '../session.ts';

export interface FetchOptions extends GlobalOptions, WaitOptions {
  portfolio?: string | undefined;
  analysis: boolean;
  wait?: boolean | undefined;
}

/** Newest bars of symbols, or of all that a user holds or watches, and their analysis. Errors: `InputError('fetch.nothing' | 'symbol.invalid' | 'user.unknown')`. */
export async function fetch(symbols: readonly string[], options: FetchOptions): Promise<number> {
  const { portfolio, analysis } = options;
  if ((symbols.length === 0) === (portfolio === undefined))
    throw new InputError(
      'fetch.nothing',
      'name symbols, such as "stockmesh fetch AAPL MSFT", or a portfolio with --portfolio <user>, and not both',
    );
  const wanted = symbols.map(parseSymbol);
  return withSession(options, async (session) => {
    const { jobs, stock_jobs } = session.loaded.config;
    const origin: Origin = { cause: 'user_request', rules: jobs.priority_rules, user: portfolio };
    const requests =
      portfolio === undefined
        ? [...new Set(wanted)].flatMap((symbol) => [fetchRequest(symbol, origin), analysisRequest(symbol, origin)])
        : portfolioBatches(await symbolsOf(session, portfolio), stock_jobs.data_fetch.batch_size, origin);
    return order(
      session,
      requests.filter(({ type }) => analysis || type !== 'analysis'),
      options,
    );
  });
}

/** The bars of a symbol over a range of days, both inclusive (`YYYY-MM-DD`); without `to` until today. Errors: `InputError('symbol.invalid' | 'history.bad_range')`. */
export async function history(
  symbol: string,
  options: GlobalOptions & WaitOptions & { from: string; to?: string | undefined; wait?: boolean | undefined },
): Promise<number> {
  const wanted = parseSymbol(symbol);
  const today = systemClock.now().toZonedDateTimeISO('UTC').toPlainDate().toString();
  return withSession(options, (session) => {
    const { priority_rules: rules, default_priority } = session.loaded.config.jobs;
    return order(
      session,
      [historyRequest(wanted, options.from, options.to ?? today, { cause: 'user_request', rules }, default_priority)],
      options,
    );
  });
}

async function symbolsOf(session: Session, user: string): Promise<string[]> {
  const holdings = await holdingsOf(session, user);
  return holdings.map(({ symbol }) => symbol);
}

/** What a user holds and watches. Errors: `InputError('user.unknown')` when that is nothing. */
export async function holdingsOf({ db }: Pick<Session, 'db'>, user: string) {
  const holdings = (await readHoldings(db, [user])).get(user);
  if (holdings === undefined)
    throw new InputError('user.unknown', `user "${plain(user)}" has no holdings; import some with "stockmesh portfolio import <csv>"`);
  return holdings;
}

/** Enqueues requests and prints the jobs they became, or with `--wait` what landed. The exit code: 1 when one was refused, or failed. */
export async function order(
  session: Session,
  requests: readonly JobRequest[],
  options: WaitOptions & { wait?: boolean | undefined },
): Promise<number> {
  if (options.wait) {
    return withWatch(session, options, async (watch) => {
      const answers = await enqueueAndRing(session, requests);
      const ids = [...new Set(answers.flatMap((answer) => (answer.outcome === 'refused' ? [] : [answer.id])))];
      const jobs = await untilLanded(session, watch, ids);
      return conclude(
        { jobs, refused: refusals(requests, answers), elapsedMs: Math.round(performance.now() - watch.startedAt) },
        options,
        {},
      );
    });
  }
  const bus = await session.bus();
  await reachable(bus);
  const answers = await enqueueAndRing(session, requests);
  const refused = refusals(requests, answers);
  const away = bus.state === 'offline';
  if (options.json)
    printJson({
      ok: refused.length === 0,
      announced: !away,
      jobs: answers.flatMap((answer) => (answer.outcome === 'refused' ? [] : [summary(answer)])),
      refused,
    });
  else {
    const accepted = answers.flatMap((answer) => (answer.outcome === 'refused' ? [] : [summary(answer)]));
    if (accepted.length > 0) print(table(accepted, COLUMNS));
    if (away) print('the broker is away: the workers find these jobs when they next look into the ledger');
  }
  for (const { symbol, reason } of refused)
    process.stderr.write(`stockmesh: ${symbol === null ? '' : `${symbol}: `}refused: ${plain(reason)}\n`);
  return refused.length === 0 ? 0 : FAILURE;
}

async function enqueueAndRing({ ledger, announcer }: Session, requests: readonly JobRequest[]): Promise<EnqueueAnswer[]> {
  const answers = await enqueue(ledger, requests);
  await (await announcer()).enqueued(answers);
  return answers;
}

function refusals(requests: readonly JobRequest[], answers: readonly EnqueueAnswer[]): { symbol: string | null; reason: string }[] {
  return answers.flatMap((answer, index) =>
    answer.outcome === 'refused' ? [{ symbol: requests[index]?.symbol ?? null, reason: answer.reason }] : [],
  );
}

type Accepted = Exclude<EnqueueAnswer, { outcome: 'refused' }>;

function summary({ id, type, symbol, state, queue, level, score, outcome }: Accepted) {
  return { id, type, symbol, state, queue, priority: level, score: Number(score.toFixed(4)), outcome };
}

const COLUMNS: Column<ReturnType<typeof summary>>[] = [
  { title: 'ID', value: ({ id }) => id },
  { title: 'SYMBOL', value: ({ symbol }) => symbol },
  { title: 'TYPE', value: ({ type }) => type },
  { title: 'PRIORITY', value: ({ priority }) => priority, align: 'right', optional: 2 },
  { title: 'QUEUE', value: ({ queue }) => queue, optional: 3 },
  {
    title: 'OUTCOME',
    value: ({ outcome, state }) => (outcome === 'joined' ? `joined a ${state} job` : outcome),
    optional: 1,
    flexible: 16,
  },
];
