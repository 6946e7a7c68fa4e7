/** History of the mesh of this data folder, without a gateway: from the database and the object store. */
import { join } from 'node:path';
import type { Writable } from 'node:stream';
import { pino } from 'pino';
import { jobStatus } from '../../gateway/jobs/status.ts';
import { type Coverage, readCoverage } from '../../history/coverage.ts';
import type { Download, Interval, Schema } from '../../history/dataset.ts';
import { downloadOf, filterOf } from '../../history/fields.ts';
import { gapsOf } from '../../history/gaps.ts';
import { listObjects, readObjects } from '../../history/manifest.ts';
import { configuredStore } from '../../history/objects/configured.ts';
import { createReader } from '../../history/parquet/reader.ts';
import { plannedSource, previewJson, previewOf } from '../../history/preview.ts';
import { configuredHistorySources } from '../../history/sources/configured.ts';
import { chainAt } from '../../history/stored/chain.ts';
import { prepareExport } from '../../history/stored/export.ts';
import { lookInto, type StoredHistory } from '../../history/stored/files.ts';
import { manifestJson, objectJson } from '../../history/stored/json.ts';
import { answersTo, askFor } from '../../job-types/history/asked.ts';
import { enqueue } from '../../ledger/enqueue/enqueue.ts';
import { submit } from '../../ledger/enqueue/submit.ts';
import { inTrace } from '../../ledger/enqueue/traced.ts';
import { idFromBytes } from '../../ledger/id.ts';
import { readJob } from '../../ledger/read/jobs.ts';
import { secondsLeft } from '../../ledger/read/pace.ts';
import { listItems } from '../../ledger/run/items.ts';
import { parseSymbol } from '../../market/symbol.ts';
import { InputError, TransientError } from '../../platform/errors.ts';
import { type GlobalOptions, reachable, type Session, withSession } from '../session.ts';
import type * as Api from './access.ts';
import type { Accepted, Asset, HistoryAccess } from './access.ts';
import { checked } from './checked.ts';

const never = new AbortController().signal;

/** Runs a command with the stored files of the installation. Errors: those of `withSession`. */
export function withStored<T>(options: GlobalOptions, work: (stored: StoredHistory, session: Session) => Promise<T>): Promise<T> {
  return withSession(options, async (session) => {
    const { db, dataFolder, loaded } = session;
    const log = pino({ level: 'silent' });
    const { memory, threads } = loaded.config.history.converter;
    const reader = createReader({ memory, threads, tempFolder: join(dataFolder, 'history-temp'), log });
    try {
      return await work({ sql: db, store: configuredStore({ config: loaded.config, dataFolder, log }), reader }, session);
    } finally {
      await reader.close();
    }
  });
}

export function withLocalHistory<T>(options: GlobalOptions, work: (history: HistoryAccess) => Promise<T>): Promise<T> {
  return withStored(options, (stored, session) => work(localHistory(stored, session)));
}

function localHistory(stored: StoredHistory, session: Session): HistoryAccess {
  const { db, clock } = session;
  const rangeOf = (query: Api.CoverageQuery): Download => {
    const { dataset, from, to, ...fields } = query;
    return downloadFrom(dataset, { ...fields, start_date: from, end_date: to }, session);
  };
  return {
    submit: async (asset, body) => (await submitAll(session, [downloadFrom(asset, body, session)], body))[0] as Accepted,
    async preview(asset, body) {
      const download = downloadFrom(asset, body, session);
      return previewAnswer(session, download, body.force_refresh === true);
    },
    async fill({ dataset, ...body }) {
      const download = downloadFrom(dataset, body, session);
      const { days, downloads } = gapsOf(download, await readCoverage(db, download, clock.now()));
      return { days: days.length, jobs: downloads.length === 0 ? [] : await submitAll(session, downloads, body) };
    },
    async status(id) {
      const job = await readJob(db, id);
      if (job === undefined) throw new InputError('job.unknown', `there is no job ${id} any more`);
      return textual(jobStatus(job, await secondsLeft(session.ledger, job, null))) as Api.Status;
    },
    items: async (id, state, limit) => listItems(db, id, { state, limit }),
    async coverage(query) {
      const download = rangeOf(query);
      const found: Coverage = await readCoverage(db, download, clock.now());
      const { root, schema, interval, from, to } = download;
      return { root, dataset: query.dataset, schema, interval, from, to, counts: found.counts, days: found.days };
    },
    async objects({ root, dataset, schema, interval, from, to, limit = 100, cursor }) {
      const rows = await listObjects(db, {
        root: root === undefined ? undefined : parseSymbol(root),
        ...{ asset: dataset, schema, interval: interval as Interval | undefined, from, to, after: cursor, limit: limit + 1 },
      });
      const page = rows.slice(0, limit);
      return {
        objects: page.map((row) => textual(objectJson(row))),
        next: rows.length > limit ? (page.at(-1)?.object.key ?? null) : null,
      } as Api.Objects;
    },
    async object(key, limit) {
      const row = (await readObjects(db, [key])).get(key);
      if (row === undefined)
        throw new InputError('object.unknown', `there is no stored object ${JSON.stringify(key)}; "history objects" lists them`);
      const { columns, rows } = await lookInto(stored, row, limit, never);
      return { ...textual(manifestJson(row, idFromBytes(row.jobId))), columns, first_rows: rows } as Api.StoredObject;
    },
    async chain({ root, at, schema, interval, ...filter }) {
      const moment = Temporal.Instant.from(at);
      const question = {
        root: parseSymbol(root),
        at: moment,
        schema: schema as Schema | undefined,
        interval: interval as Interval | undefined,
      };
      const { day, object, underlying, rows } = await chainAt(stored, { ...question, filter: filterOf(filter) }, never);
      const { object: spec, source } = object;
      return {
        root: spec.root,
        at: moment.toString(),
        day,
        key: spec.key,
        source,
        underlying,
        contracts: rows.length,
        rows: [...rows],
        next: null,
      } as Api.Chain;
    },
    async exportTo({ allow_gaps, ...query }, out: Writable) {
      const download = rangeOf(query);
      const coverage = await readCoverage(db, download, clock.now());
      const { write } = await prepareExport(stored, download, coverage, { allowGaps: String(allow_gaps) === 'true', signal: never });
      await write(out, never);
    },
    isTemporary: (error) => error instanceof TransientError,
  };
}

/** Dates as JSON has them. */
const textual = (value: object): object => JSON.parse(JSON.stringify(value));

function downloadFrom(asset: Asset, body: object, { clock }: Session): Download {
  const fields = checked(asset, body, clock);
  return downloadOf(asset, fields, { from: fields.start_date, to: fields.end_date });
}

/** Commits the jobs of all downloads in one transaction. Errors: `InputError('history.no_trading_day')`, those of `answersTo`. */
async function submitAll(
  { ledger, loaded, bus, announcer, startTracing }: Session,
  downloads: readonly Download[],
  { priority, force_refresh: force }: { priority?: number | undefined; force_refresh?: boolean | undefined },
): Promise<Accepted[]> {
  const { config } = loaded;
  const origin = { cause: 'user_request', rules: config.jobs.priority_rules } as const;
  const asked = askFor(downloads, { force, priority, origin, config });
  await reachable(await bus());
  await startTracing();
  const submitted = await submit(
    asked.flatMap(({ requests }) => requests),
    (requests) => inTrace('command', {}, (commitTraced) => commitTraced(requests, () => enqueue(ledger, requests))),
  );
  await (await announcer()).enqueued(submitted.accepted.map(({ answer }) => answer));
  return answersTo(asked, submitted);
}

async function previewAnswer({ db, clock, loaded, dataFolder }: Session, download: Download, force: boolean): Promise<Api.Preview> {
  const { config } = loaded;
  const now = clock.now();
  const sources = configuredHistorySources({ config, clock, db, log: pino({ level: 'silent' }), holder: dataFolder });
  const { source, warnings } = plannedSource(sources, download, { ...config.history.theta, now });
  return previewJson(await previewOf(db, download, { source, now, force }), warnings);
}
