/** `stockmesh history option`, `stock` and `gaps`: asking for downloads, and watching them. */
import { WaitTimeoutError, waitForJob } from '../../client/wait.ts';
import { isGap } from '../../history/gaps.ts';
import { COMMAND } from '../../platform/command-name.ts';
import { FAILURE } from '../output/failure.ts';
import { plural, span } from '../output/numbers.ts';
import { print, printJson } from '../output/print.ts';
import { plain, table } from '../output/table.ts';
import type { Accepted, AccessOptions, Asset, DownloadBody, HistoryAccess, Item, Preview, Status } from './access.ts';
import { withHistory } from './access.ts';
import { bytesText, showBar } from './bar.ts';
import type { DatasetOptions } from './show.ts';
import { dayToday } from './show.ts';

export interface DownloadOptions extends AccessOptions {
  from: string;
  to?: string | undefined;
  schema: string;
  interval?: string | undefined;
  maxDte?: number | undefined;
  basePct?: number | undefined;
  dryRun?: boolean | undefined;
  wait?: boolean | undefined;
  force?: boolean | undefined;
  priority?: number | undefined;
  timeout?: number | undefined;
  json?: boolean | undefined;
}

/** Errors: `InputError('history.invalid')` that names each option, those of `withHistory`. The exit code with `--wait`: 1 when the job did not complete whole. */
export async function download(asset: Asset, root: string, options: DownloadOptions): Promise<number> {
  return withHistory(options, async (history) => {
    const body = bodyOf(root, options);
    if (options.dryRun) return showPreview(await history.preview(asset, body), options);
    const job = await history.submit(asset, body);
    if (options.wait) return watch(history, [job], options);
    if (options.json) printJson({ ok: true, ...job });
    else printJobs([job]);
    return 0;
  });
}

function bodyOf(root: string, options: DownloadOptions): DownloadBody {
  const { from, to = dayToday(), schema, interval, maxDte, basePct, force, priority } = options;
  return {
    ...{ root, start_date: from, end_date: to, schema: schema as DownloadBody['schema'] },
    ...(interval === undefined ? {} : { interval }),
    ...(maxDte === undefined ? {} : { max_dte: maxDte }),
    ...(basePct === undefined ? {} : { base_pct: basePct }),
    ...(force === undefined ? {} : { force_refresh: force }),
    ...(priority === undefined ? {} : { priority }),
  };
}

export interface GapsOptions extends DatasetOptions {
  fill?: boolean | undefined;
  wait?: boolean | undefined;
  timeout?: number | undefined;
}

/** The days that another download may bring; with `--fill` they are asked for. Errors: as `download`. */
export async function gaps(root: string, options: GapsOptions): Promise<number> {
  return withHistory(options, async (history) => {
    const { dataset, schema, interval, from, to, maxDte, basePct } = options;
    const filter = { ...(maxDte === undefined ? {} : { max_dte: maxDte }), ...(basePct === undefined ? {} : { base_pct: basePct }) };
    const named = { root, dataset, schema: schema as DownloadBody['schema'], ...(interval === undefined ? {} : { interval }), ...filter };
    if (options.fill) {
      const { days, jobs } = await history.fill({ ...named, start_date: from, end_date: to });
      if (options.wait && jobs.length > 0) return watch(history, jobs, options);
      if (options.json) printJson({ ok: true, days, jobs });
      else if (jobs.length === 0) print('nothing is missing');
      else printJobs(jobs);
      return 0;
    }
    const { days } = await history.coverage({ ...named, from, to });
    const missing = days.filter(isGap);
    if (options.json) printJson({ ok: missing.length === 0, days: missing });
    else if (missing.length === 0) print('nothing is missing');
    else {
      print(
        table(missing, [
          { title: 'DAY', value: ({ date }) => date },
          { title: 'STATE', value: ({ state }) => state },
          { title: 'REASON', value: ({ reason }) => reason, flexible: 20, optional: 1 },
        ]),
      );
      print(`${plural(missing.length, 'day')}; --fill downloads them`);
    }
    return 0;
  });
}

function printJobs(jobs: readonly Accepted[]): void {
  print(
    table(jobs, [
      { title: 'JOB', value: ({ job_id }) => job_id },
      { title: 'ITEMS', value: ({ total_items }) => total_items, align: 'right' },
      { title: 'OUTCOME', value: ({ outcome }) => outcome },
      { title: 'DOWNLOAD', value: ({ message }) => message, flexible: 20, optional: 1 },
    ]),
  );
  print(`"${COMMAND} job ${jobs[0]?.job_id}" shows it, the same command with --wait watches it`);
}

function showPreview(preview: Preview, { json }: DownloadOptions): number {
  const { objects, counts, expected, source, calls, estimated_rows, estimated_bytes, estimated_seconds, warnings, total_items } = preview;
  if (json) {
    printJson(preview);
    return 0;
  }
  print(
    table(objects.slice(0, SHOWN), [
      { title: 'OBJECT', value: ({ key }) => key },
      { title: 'DAYS', value: ({ days }) => days, align: 'right' },
      { title: 'STATE', value: ({ state }) => state },
      {
        title: 'DOWNLOAD',
        value: ({ expected, from }) =>
          (expected === 'download' ? 'yes' : expected.replaceAll('_', ' ')) + (from === null ? '' : `, from ${from} on`),
      },
    ]),
  );
  if (objects.length > SHOWN) print(`… ${objects.length - SHOWN} more`);
  const states = Object.entries(counts).map(([state, count]) => `${count} ${state.replaceAll('_', ' ')}`);
  print(`${plural(total_items, 'object')}: ${states.join(', ')}`);
  const size = estimated_bytes === null ? '' : `, about ${estimated_rows?.toLocaleString('en-US')} rows and ${bytesText(estimated_bytes)}`;
  const time = estimated_seconds === null ? '' : `, about ${span(estimated_seconds * 1000)}`;
  const { download: asked, ...others } = expected;
  const atOnce = Object.entries(others).flatMap(([name, count]) => (count === 0 ? [] : [`, ${count} ${name.replaceAll('_', ' ')}`]));
  const requests = calls === null ? '' : `, ${plural(calls, 'request')} to ${source}`;
  print(`${asked} to download${atOnce.join('')}${requests}${asked === 0 ? '' : `${size}${time}`}; nothing was asked for`);
  for (const warning of warnings) process.stderr.write(`stockmesh: ${plain(warning)}\n`);
  return 0;
}

const SHOWN = 20;
const MOST_REASONS = 10;

interface WatchOptions extends AccessOptions {
  timeout?: number | undefined;
  json?: boolean | undefined;
}

/** Follows downloads one after the other to their end. Ctrl-C and `--timeout` end the watching alone. */
async function watch(history: HistoryAccess, jobs: readonly Accepted[], options: WatchOptions): Promise<number> {
  const interrupt = new AbortController();
  const stop = (): void => interrupt.abort(new Interrupted());
  process.once('SIGINT', stop);
  const until = options.timeout === undefined ? undefined : performance.now() + options.timeout * 1000;
  const ended: { job: Accepted; status: Status; failures: Item[] }[] = [];
  try {
    for (const job of jobs) {
      const bar = showBar(job, { quiet: options.json === true });
      try {
        const status = await waitForJob(() => history.status(job.job_id), {
          onProgress: bar.show,
          isTemporary: history.isTemporary,
          signal: interrupt.signal,
          pauseMs: { first: 200, longest: 2_000 },
          timeoutMs: until === undefined ? undefined : Math.max(0, until - performance.now()),
        });
        ended.push({ job, status, failures: await failuresOf(history, status) });
      } finally {
        bar.end();
      }
    }
  } catch (error) {
    if (!(error instanceof Interrupted || error instanceof WaitTimeoutError)) throw error;
    const [open] = jobs.slice(ended.length);
    process.stderr.write(`stockmesh: ${stillRunning(open as Accepted, error, options)}\n`);
    return FAILURE;
  } finally {
    process.off('SIGINT', stop);
  }
  return conclude(ended, options);
}

class Interrupted extends Error {}

function stillRunning({ job_id }: Accepted, error: Error, { gateway }: AccessOptions): string {
  const why = error instanceof Interrupted ? 'watching has ended' : 'the time is over';
  // The other commands know the mesh of the data folder alone.
  const ways =
    gateway === undefined
      ? `"${COMMAND} job ${job_id}" shows it, "${COMMAND} cancel ${job_id}" ends it`
      : `GET ${gateway}/v1/jobs/${job_id} shows it, POST ${gateway}/v1/jobs/${job_id}/cancel ends it`;
  return `${why}; job ${job_id} goes on: ${ways}`;
}

async function failuresOf(history: HistoryAccess, { job_id, progress }: Status): Promise<Item[]> {
  const failed = progress.failed > 0 && progress.total > 1 ? await history.items(job_id, 'failed', MOST_REASONS) : [];
  const denied = progress.not_entitled > 0 ? await history.items(job_id, 'not_entitled', 1) : [];
  return [...failed, ...denied];
}

function conclude(ended: readonly { job: Accepted; status: Status; failures: Item[] }[], { json, gateway }: WatchOptions): number {
  const ok = ended.every(({ status }) => status.status === 'completed');
  if (json) printJson({ ok, jobs: ended.map(({ job, status, failures }) => ({ ...job, job: status, failures })) });
  else
    for (const { status } of ended) {
      const { total, percentage: _, ...outcomes } = status.progress;
      const parts = Object.entries(outcomes).flatMap(([name, count]) => (count === 0 ? [] : [`${count} ${name.replaceAll('_', ' ')}`]));
      print(`${status.status.replaceAll('_', ' ')}: ${plural(total, 'item')}${parts.length === 0 ? '' : `, ${parts.join(', ')}`}`);
    }
  for (const { status, failures } of ended) {
    for (const { key, state, reason } of failures)
      process.stderr.write(`stockmesh: ${key}: ${state.replaceAll('_', ' ')}: ${plain(reason ?? 'no reason given')}\n`);
    if (status.status !== 'completed')
      process.stderr.write(
        `stockmesh: job ${status.job_id} ${status.status.replaceAll('_', ' ')}${status.error_message === null ? '' : `: ${plain(status.error_message)}`}; ${gateway === undefined ? `"${COMMAND} retry ${status.job_id}"` : `POST ${gateway}/v1/jobs/${status.job_id}/retry`} runs what failed again\n`,
      );
  }
  return ok ? 0 : FAILURE;
}
