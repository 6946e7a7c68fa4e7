/** `stockmesh jobs` and `stockmesh job`: the jobs of the ledger. */

import { parseJobId } from '../../ledger/id.ts';
import { nowOf, type Queue, type State } from '../../ledger/job.ts';
import { JOB_COLUMNS, type JobDetail, type JobSummary, listJobs, readJob } from '../../ledger/read/jobs.ts';
import { listItems } from '../../ledger/run/items.ts';
import { parseSymbol } from '../../market/symbol.ts';
import { COMMAND } from '../../platform/command-name.ts';
import { InputError } from '../../platform/errors.ts';
import { csvOf } from '../../platform/text/csv.ts';
import { paint, paintState } from '../output/colour.ts';
import { ago, span, stamp } from '../output/numbers.ts';
import { print, printCsv, printJson } from '../output/print.ts';
import { type Column, fields, plain, table } from '../output/table.ts';
import { whySection } from '../output/why.ts';
import { type GlobalOptions, withSession } from '../session.ts';

export interface JobsOptions extends GlobalOptions {
  state?: State | undefined;
  queue?: Queue | undefined;
  type?: string | undefined;
  symbol?: string | undefined;
  user?: string | undefined;
  before?: string | undefined;
  limit: number;
  json?: boolean | undefined;
  csv?: boolean | undefined;
}

/** Jobs, newest first. Errors: `InputError('job.invalid_id' | 'symbol.invalid')`. */
export async function jobs({ json, csv, limit, state, queue, type, user, ...options }: JobsOptions): Promise<number> {
  const before = options.before === undefined ? undefined : parseJobId(options.before);
  const symbol = options.symbol === undefined ? undefined : parseSymbol(options.symbol);
  return withSession(options, async ({ db, clock }) => {
    // Reads one row more than the limit, to know whether there is a next page.
    const found = await listJobs(db, { state, queue, type, symbol, user, before, limit: limit + 1 });
    const page = found.slice(0, limit);
    const next = found.length > limit ? (page.at(-1)?.id ?? null) : null;
    if (csv) printCsv(csvOf(JOB_COLUMNS, page));
    else if (json) printJson({ jobs: page.map(({ id, ...rest }) => ({ id, ...rest })), next });
    else if (page.length === 0) print(`no such jobs; "${COMMAND} login <user>" or "${COMMAND} fetch <symbol>" makes some`);
    else {
      print(jobsTable(page, nowOf({ clock })));
      if (next !== null) print(`\nolder ones: --before ${next}`);
    }
    return 0;
  });
}

function jobsTable(page: readonly JobSummary[], now: Date): string {
  const columns: Column<JobSummary>[] = [
    { title: 'ID', value: ({ id }) => id },
    { title: 'STATE', value: ({ state }) => state, paint: (text, { state }) => paintState(text, state) },
    { title: 'TYPE', value: ({ type }) => type },
    { title: 'SYMBOL', value: ({ symbol }) => symbol },
    { title: 'PRI', value: ({ priority }) => priority, align: 'right', optional: 4 },
    { title: 'TRY', value: ({ attempt, max_attempts }) => `${attempt}/${max_attempts}`, align: 'right', optional: 5 },
    { title: 'AGE', value: ({ enqueued_at }) => span(Math.max(0, now.getTime() - enqueued_at.getTime())), align: 'right', optional: 1 },
    {
      title: 'TOOK',
      value: ({ started_at, ended_at }) =>
        started_at === null || ended_at === null ? null : span(ended_at.getTime() - started_at.getTime()),
      align: 'right',
      optional: 6,
    },
    { title: 'USER', value: ({ user }) => user, optional: 7 },
    { title: 'WORKER', value: ({ worker }) => worker, optional: 9 },
    { title: 'QUEUE', value: ({ queue }) => queue, optional: 8 },
    { title: 'REASON', value: ({ reason, blocked_on, run_at }) => reasonOf(reason, blocked_on, run_at, now), flexible: 12, optional: 1 },
  ];
  return table(page, columns);
}

function reasonOf(reason: string | null, blockedOn: string | null, runAt: Date | null, now: Date): string | null {
  const next = runAt === null ? undefined : `next try in ${span(Math.max(0, runAt.getTime() - now.getTime()))}`;
  const waits = blockedOn === null ? undefined : blockedOn === 'slot' ? 'waits for a slot of its user' : 'waits for another job';
  return [waits ?? next, reason].filter((part) => part !== undefined && part !== null).join(': ') || null;
}

/** Items that are listed; the others are only counted. */
const SHOWN_ITEMS = 50;

/** One job with its priority, attempts, items and result. Errors: `InputError('job.invalid_id' | 'job.unknown')`. */
export async function job(text: string, options: GlobalOptions & { json?: boolean | undefined }): Promise<number> {
  const id = parseJobId(text);
  return withSession(options, async ({ db, clock }) => {
    const found = await readJob(db, id);
    if (found === undefined)
      throw new InputError(
        'job.unknown',
        `there is no job ${id}; ended jobs are deleted after a while (jobs.cleanup_after_days), "${COMMAND} jobs" lists those that are there`,
      );
    const items = found.items.total === 0 ? [] : await listItems(db, id, { limit: options.json ? 1_000 : SHOWN_ITEMS });
    if (options.json) printJson({ ...found, item_list: items });
    else print([...sections(found, items, nowOf({ clock }))].join('\n'));
    return 0;
  });
}

function* sections(found: JobDetail, items: Awaited<ReturnType<typeof listItems>>, now: Date): Generator<string> {
  const time = (at: Date | null): string | null => (at === null ? null : `${stamp(at)}, ${ago(at, now)}`);
  yield fields([
    ['job', found.id],
    ['type', found.type],
    ['symbol', found.symbol],
    ['state', paintState(found.state, found.state)],
    ['waits', reasonOf(null, found.blocked_on, found.run_at, now)],
    ['reason', found.reason === null ? null : `${plain(found.reason)}${found.code === null ? '' : ` (${found.code})`}`],
    ['queue', `${found.queue}, priority ${found.priority} of 10, score ${found.score}`],
    ['attempt', `${found.attempt} of ${found.max_attempts}`],
    ['worker', found.worker],
    ['asked for', `by ${found.triggered_by}${found.user === null ? '' : `, first by ${plain(found.user)}`}`],
    ['subscribers', found.subscribers.length === 0 ? null : found.subscribers.map(plain).join(', ')],
    ['enqueued', time(found.enqueued_at)],
    ['started', time(found.started_at)],
    ['ended', time(found.ended_at)],
    ['took', found.started_at === null || found.ended_at === null ? null : span(found.ended_at.getTime() - found.started_at.getTime())],
    ['payload', plain(JSON.stringify(found.payload))],
    ['result', found.result === null ? null : plain(JSON.stringify(found.result))],
  ]);
  yield `${title('WHY')}\n${whySection(found.why)}`;
  if (found.needs.length > 0)
    yield table(found.needs, [
      { title: 'NEEDS', value: (need) => need.id },
      { title: 'STATE', value: (need) => need.state, paint: (text, need) => paintState(text, need.state) },
    ]);
  if (found.attempts.length > 0)
    yield table(found.attempts, [
      { title: 'ATTEMPT', value: (one) => one.attempt, align: 'right' },
      { title: 'OUTCOME', value: (one) => one.outcome },
      {
        title: 'TOOK',
        value: (one) => (one.started_at === null ? null : span(one.ended_at.getTime() - one.started_at.getTime())),
        align: 'right',
        optional: 2,
      },
      { title: 'WORKER', value: (one) => one.worker, optional: 3 },
      { title: 'CODE', value: (one) => one.code, optional: 1 },
      { title: 'REASON', value: (one) => one.reason, flexible: 16 },
    ]);
  if (found.items.total > 0) {
    const { total, ...counts } = found.items;
    const counted = Object.entries(counts).flatMap(([state, count]) => (count === 0 ? [] : [`${count} ${state.replaceAll('_', ' ')}`]));
    yield `${table(items, [
      { title: 'ITEM', value: ({ key }) => key },
      { title: 'STATE', value: ({ state }) => state, paint: (text, { state }) => (state === 'failed' ? paint('red', text) : text) },
      { title: 'ROWS', value: ({ rows }) => rows, align: 'right', optional: 1 },
      { title: 'REASON', value: ({ reason }) => reason, flexible: 24, optional: 0 },
    ])}${items.length < total ? `… ${total - items.length} more\n` : ''}${total} items: ${counted.join(', ')}`;
  }
}

const title = (text: string): string => paint('bold', text);
