/** `stockmesh stats`: the metrics of the mesh. */
import { countsText, freshnessRules } from '../../market/freshness/freshness.ts';
import { type HeldFreshness, readHeldFreshness } from '../../market/freshness/held.ts';
import { offsetSeconds } from '../../platform/clock.ts';
import { COMMAND } from '../../platform/command-name.ts';
import { adviceOn } from '../../platform/registry/alert-advice.ts';
import { paint } from '../output/colour.ts';
import { ago, plural } from '../output/numbers.ts';
import { clockText, type Overview, QUEUE_COLUMNS, readOverview, workerLines, workerTable } from '../output/overview.ts';
import { print, printJson } from '../output/print.ts';
import { fields, plain, table } from '../output/table.ts';
import { type GlobalOptions, withSession } from '../session.ts';

export async function stats({ json, ...options }: GlobalOptions & { json?: boolean | undefined }): Promise<number> {
  return withSession(options, async (session) => {
    const { thresholds } = freshnessRules(session.loaded.config);
    const [overview, held] = await Promise.all([readOverview(session), readHeldFreshness(session.db, session.clock.now(), thresholds)]);
    const offset = offsetSeconds(session.clock);
    if (json) printJson({ ...statsJson(overview), freshness: { ...held.counts, simulated: held.simulated }, clock_offset_s: offset });
    else print([...sections(overview, held, offset)].join('\n'));
    return 0;
  });
}

function* sections(overview: Overview, { counts, simulated }: HeldFreshness, clockOffset: number | null): Generator<string> {
  const { metrics, alerts } = overview;
  const { ledger, workers, utilisation, latencies } = metrics;
  const now = metrics.at;
  yield table(ledger.queues, QUEUE_COLUMNS);
  const depths = Object.entries(ledger.depth);
  yield fields([
    ['waiting by priority', depths.length === 0 ? 'nothing waits' : depths.map(([level, jobs]) => `${level}: ${jobs}`).join('  ')],
    [
      'last minute',
      `${ledger.enqueued_last_minute} enqueued, ${ledger.completed_last_minute} completed, ${ledger.failed_last_minute} failed`,
    ],
    [
      'dead letter',
      ledger.failed === 0
        ? 'empty'
        : `${paint('red', plural(ledger.failed, 'failed job'))} ("${COMMAND} jobs --state failed" lists, "${COMMAND} redrive" starts them again)`,
    ],
    [
      'workers',
      workers.online === 0
        ? paint('red', 'none is alive: nothing will be done')
        : `${plural(workers.online, 'worker')}, ${workers.busy} of ${workers.slots} slots busy (${Math.round(utilisation * 100)} %)`,
    ],
    ['held symbols', `${countsText(counts)}${simulated === 0 ? '' : paint('yellow', `; ${simulated} with made-up prices`)}`],
    ["this machine's clock", clockOffset === null ? null : `${clockText(clockOffset)} from the database's`],
    ...latencies.map(
      ({ source, p95, answers }) => [source, `95 % of ${plural(answers, 'answer')} within ${Math.round(p95 * 1000)} ms`] as const,
    ),
  ]);
  if (overview.instances.length > 0) yield workerTable(workerLines(overview), now);
  yield alerts.length === 0
    ? 'no alerts\n'
    : alerts
        .flatMap(({ name, since, text }) => [
          `${paint('red', `alert ${name}`)} for ${ago(since, now).replace(/ ago$/, '')}: ${plain(text)}\n`,
          ...adviceOn(name).map((line) => `  ${line}\n`),
        ])
        .join('');
}

function statsJson({ metrics: { at, ledger, workers, utilisation, latencies }, instances, alerts }: Overview) {
  return {
    at,
    queues: ledger.queues,
    depth: ledger.depth,
    states: ledger.states,
    enqueued_last_minute: ledger.enqueued_last_minute,
    completed_last_minute: ledger.completed_last_minute,
    failed_last_minute: ledger.failed_last_minute,
    failed: ledger.failed,
    workers: { ...workers, utilisation },
    latencies: latencies.map(({ source, p95, answers }) => ({ source, p95_s: p95, answers })),
    instances: instances.map(({ session: _, ...instance }) => instance),
    alerts,
  };
}
