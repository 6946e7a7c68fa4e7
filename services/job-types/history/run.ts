/**
 * Downloads the objects of one job, the newest days first. Each is committed on its own, so that an attempt that ends early costs at most the objects that are under way.
 * Objects that another job downloads at this moment are left for the end, and are there then.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { z } from 'zod';
import { availableDays } from '../../history/availability.ts';
import { type HistoryParts, sourcesFor } from '../../history/configured.ts';
import { type Downloaded, type DownloadParts, downloadObject, type Wanted } from '../../history/download.ts';
import { foresee } from '../../history/foreseen.ts';
import { type Absence, hasRealObjects, type ManifestRow, readAbsences, readObjects, storeObjects } from '../../history/manifest.ts';
import { type PlannedObject, planOf } from '../../history/plan.ts';
import { type HistorySource, NotEntitledError, StopError } from '../../history/sources/source.ts';
import { lostOf } from '../../history/stored/current.ts';
import { closesOf } from '../../history/underlying.ts';
import { idToBytes } from '../../ledger/id.ts';
import { ALONE_FROM } from '../../ledger/run/deaths.ts';
import type { ItemResult } from '../../ledger/run/items.ts';
import type { Sql } from '../../platform/database/database.ts';
import { codeOf, isDatabaseAway, messageOf, PermanentError, TransientError } from '../../platform/errors.ts';
import { Continued, type JobContext, type JobOutput } from '../handler.ts';
import { type Claim, giveBack, heldNow, takeClaim } from './claims.ts';
import type { HistoryPayload } from './definition.ts';
import { createEmpties, type Empties } from './empties.ts';
import { dataMessage, doneItem, type HistoryRow, skippedItem } from './items.ts';
import { endOf } from './sum.ts';
import { beginTurn, type Turn } from './turn.ts';

type Payload = z.output<typeof HistoryPayload>;

/** Objects that failed one after the other, for reasons that may pass, before the others are not asked for: the source is away. */
const MOST_FAILURES = 8;
/** Milliseconds between looks at objects that other jobs download, and for which a job looks before it frees its place in the worker. */
const LOOK_MS = 250;
const WAIT_MS = 20_000;
/** Seconds until it looks again. */
const LOOK_AGAIN_SECONDS = 5;
/** Milliseconds for the store to say what it has after the job was stopped. */
const KEEP_MS = 5_000;

export interface HistoryHandlerParts {
  sql: Sql;
  /** Made when the first download needs them. */
  history: () => Promise<HistoryParts>;
}

/** An attempt at a job. */
interface Run {
  download: Payload;
  context: JobContext<HistoryRow>;
  sql: Sql;
  source: HistorySource;
  /** Those that are asked when it is not there at all. */
  others: HistorySource[];
  parts: DownloadParts;
  /** Aborts with that of the job, and when one of its objects shows that the job cannot go on. */
  signal: AbortSignal;
  stop: AbortController;
  turn: Turn;
  /** Objects that another job downloads. */
  held: PlannedObject[];
  empties: Empties;
  /** When the first of the objects that are to be asked for once more is. */
  askAgainAt: Temporal.Instant | undefined;
  /** Why objects are tried again by another attempt: the names of their periods, by the reason. */
  retryReasons: Map<string, string[]>;
  failuresInARow: number;
}

export async function downloadAll(
  download: Payload,
  context: JobContext<HistoryRow>,
  { sql, history }: HistoryHandlerParts,
): Promise<JobOutput<HistoryRow>> {
  const plan = planOf(download).reverse();
  const pending = new Set(await context.openItems(plan.map(({ object }) => object.key)));
  const { sources, converter, store, reader, spool } = await history();
  const { clock, config } = context;
  const stop = new AbortController();
  const run: Run = {
    ...{ download, context, sql, stop, signal: AbortSignal.any([context.signal, stop.signal]) },
    ...(await chosen(sources, download, context, sql)),
    parts: {
      ...{ converter, store, clock, spool, askAgainAfter: config.history.ask_again_after },
      closes: (root, days) => closesOf({ sql, store, reader }, root, days, context.signal),
    },
    turn: beginTurn(sql, context.job, context.timeLimitSeconds, config.worker.capabilities),
    ...{ held: [], askAgainAt: undefined, retryReasons: new Map(), failuresInARow: 0 },
    empties: createEmpties(pending),
  };
  await work(
    run,
    await withoutKnown(
      run,
      plan.filter(({ object }) => pending.has(object.key)),
    ),
  );
  await waitForOthers(run);
  await settleEmpties(run, 'all');
  const counts = await context.countItems();
  if (counts.pending > 0) throw goOn(run, counts);
  return endOf(download, context, sql, counts);
}

/**
 * The source of a job. A Theta Terminal that nobody has named is looked for on this machine: where none runs, the next source is asked. Simulated data never stands beside
 * real data of a root.
 */
async function chosen(
  sources: readonly HistorySource[],
  download: Payload,
  { config }: JobContext<HistoryRow>,
  sql: Sql,
): Promise<Pick<Run, 'source' | 'others'>> {
  const [source, ...others] = sourcesFor(sources, download, download.source) as [HistorySource, ...HistorySource[]];
  if (source.name !== 'theta' || config.history.theta.url !== null || others.length === 0) return { source, others: [] };
  const isReal = others.some(({ name }) => name === 'simulated') && (await hasRealObjects(sql, download.root));
  return { source, others: others.filter(({ name }) => !(isReal && name === 'simulated')) };
}

async function ask(run: Run, wanted: Wanted): Promise<Downloaded> {
  for (;;) {
    const { source } = run;
    try {
      return await downloadObject(run.parts, source, wanted, run.signal);
    } catch (error) {
      if (codeOf(error) !== 'theta.no_terminal' || !askNext(run, source, messageOf(error))) throw error;
    }
  }
}

/** Whether there is another source than `source` to ask now. */
function askNext(run: Run, source: HistorySource, reason: string): boolean {
  // Another object of the job has found it out.
  if (run.source !== source) return true;
  const next = run.others.shift();
  if (next === undefined) return false;
  run.context.log.warn({ source: next.name }, `${next.name} is asked in place of ${source.name}: ${reason}`);
  run.source = next;
  return true;
}

/** Why the job is not at its end. */
function goOn(run: Run, { pending, total }: { pending: number; total: number }): Error {
  const { retryReasons, askAgainAt, context } = run;
  const left = `${pending} of ${total} objects are left`;
  if (retryReasons.size > 0) return new TransientError('history.items_pending', `${left}: ${firstOf(retryReasons)}`);
  if (run.turn.isOver()) return new Continued(`${left}; its turn is over`);
  if (run.held.length > 0) return new Continued(`${left}; other jobs download them at this moment`, LOOK_AGAIN_SECONDS);
  const seconds = askAgainAt === undefined ? 0 : Math.max((askAgainAt.epochMilliseconds - context.clock.now().epochMilliseconds) / 1000, 1);
  return new Continued(
    `${left}; the source had nothing of them, though it has of the days beside, so they are asked for once more`,
    seconds,
  );
}

const TOLD = 3;
function firstOf(reasons: ReadonlyMap<string, readonly string[]>): string {
  const texts = Array.from(
    reasons,
    ([reason, [name, ...more]]) => `${name}${more.length === 0 ? '' : ` and ${more.length} more`}: ${reason}`,
  );
  return `${texts.slice(0, TOLD).join('; ')}${texts.length > TOLD ? `; and ${texts.length - TOLD} other reasons` : ''}`;
}

/** What is known of an object without asking for it. */
type Known = { kind: 'item'; item: ItemResult } | { kind: 'later'; at: Temporal.Instant };

function known(
  { download, context, source }: Run,
  { object }: PlannedObject,
  row: ManifestRow | undefined,
  absence: Absence | undefined,
): Known | undefined {
  const { key } = object;
  // With `force` an object counts that was stored since the job was asked for: by another job, or by an attempt that could not say so any more.
  const since = download.force ? context.job.enqueuedAt : undefined;
  const foreseen = foresee(object, row, absence, { now: context.clock.now(), since });
  if (foreseen.kind === 'ask') return foreseen.from && { kind: 'later', at: foreseen.from };
  return { kind: 'item', item: itemOf() };

  function itemOf(): ItemResult {
    if (foreseen.kind === 'skipped') return skippedItem(row as ManifestRow);
    if (foreseen.kind === 'not_yet')
      return {
        key,
        state: 'not_yet',
        reason: `its data is not there yet; it is complete from ${foreseen.from.toString({ smallestUnit: 'minute' })} on`,
      };
    const { reason, askedAt } = absence as Absence;
    return { key, state: 'no_data', reason: `${reason} (known since ${askedAt.toISOString()}, from ${source.name})` };
  }
}

/** Commits at once what is known already; returns the other objects. */
async function withoutKnown(run: Run, objects: readonly PlannedObject[]): Promise<PlannedObject[]> {
  const keys = objects.map(({ object }) => object.key);
  const [rows, absences] = await Promise.all([storedNow(run, keys), readAbsences(run.sql, keys)]);
  const items: ItemResult[] = [];
  const left = objects.filter((planned) => {
    const { key } = planned.object;
    const found = known(run, planned, rows.get(key), absences.get(key));
    if (found?.kind === 'item') items.push(found.item);
    else if (found?.kind === 'later') askAgain(run, found.at);
    return found === undefined;
  });
  if (items.length > 0) await commit(run, items);
  return left;
}

/** The stored ones of these objects, by key. One whose file is lost, or is another one, is as if it had never been stored. */
async function storedNow({ sql, parts, signal, context }: Run, keys: readonly string[]): Promise<Map<string, ManifestRow>> {
  const rows = await readObjects(sql, keys);
  for (const key of await lostOf(parts.store, [...rows.values()], signal)) {
    rows.delete(key);
    context.log.warn({ key }, `${key} in ${parts.store.where} is lost, or is not the file of the manifest any more`);
  }
  return rows;
}

function askAgain(run: Run, at: Temporal.Instant): void {
  if (run.askAgainAt === undefined || Temporal.Instant.compare(at, run.askAgainAt) < 0) run.askAgainAt = at;
}

/** Commits items with what they leave. Errors: the signal's reason when the lease is lost. */
async function commit({ context, empties }: Run, items: readonly ItemResult[], ...rows: HistoryRow[]): Promise<void> {
  await context.commitItems(
    items,
    rows,
    rows.flatMap(({ stored }) => (stored === undefined ? [] : [dataMessage(stored)])),
  );
  for (const { key } of items) empties.decided(key);
}

/** Works on objects in their order, some at once. Errors: the first that ends the attempt, after all have stopped. */
async function work(run: Run, objects: readonly PlannedObject[]): Promise<void> {
  const { context, stop } = run;
  const queue = objects.values();
  let failure: { error: unknown } | undefined;
  // One object may be what ends the process; alone, all the others are done before the job fails.
  const atOnce = context.job.deaths >= ALONE_FROM ? 1 : context.config.history.concurrency;
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      try {
        for (const planned of queue) {
          run.signal.throwIfAborted();
          await run.turn.look();
          if (run.turn.isOver()) return;
          await workOn(run, planned, queue);
          await settleEmpties(run);
        }
      } catch (error) {
        failure ??= { error };
        stop.abort(error);
      }
    }),
  );
  if (failure !== undefined) throw failure.error;
}

async function workOn(run: Run, planned: PlannedObject, queue: Iterable<PlannedObject>): Promise<void> {
  const { sql, context, signal } = run;
  const { object } = planned;
  const claim = { key: object.key, job: context.job };
  if (!(await takeClaim(sql, claim))) {
    run.held.push(planned);
    return;
  }
  try {
    const [rows, absences] = await Promise.all([storedNow(run, [object.key]), readAbsences(sql, [object.key])]);
    const [row, absence] = [rows.get(object.key), absences.get(object.key)];
    const found = known(run, planned, row, absence);
    if (found?.kind === 'later') return askAgain(run, found.at);
    if (found?.kind === 'item') return await commit(run, [found.item], { claim });
    const days = availableDays(object, context.clock.now());
    const got = await ask(run, { object, days, earlier: row, jobId: idToBytes(context.job.id) });
    run.failuresInARow = 0;
    if (got.kind === 'stored') await commitStored(run, got, row, claim);
    else if (got.kind === 'empty') run.empties.add({ object, days, earlier: absence });
    else await commit(run, [{ key: object.key, state: 'no_data', reason: `${run.source.name}: the filter leaves none of its contracts` }]);
  } catch (error) {
    await failed(run, planned, error, queue);
  } finally {
    // Of a job that does not run any more it does not count.
    if (!signal.aborted) await giveBack(sql, [claim]);
  }
}

/** Errors: as `commit`. */
async function commitStored(
  run: Run,
  got: Extract<Downloaded, { kind: 'stored' }>,
  earlier: ManifestRow | undefined,
  claim: Claim,
): Promise<void> {
  try {
    await commit(run, [doneItem(got)], { stored: got.row, claim });
  } catch (error) {
    // The job was cancelled after a refresh was put: the manifest would have the checksum of what was replaced. What nobody had before is no loss.
    if (earlier !== undefined && run.signal.aborted) await keepRefresh(run, got.row, earlier);
    throw error;
  }
}

/** Writes the row of an object that stands in the store, unless another job has replaced it meanwhile. */
async function keepRefresh({ sql, parts }: Run, row: ManifestRow, earlier: ManifestRow): Promise<void> {
  const { key } = row.object;
  const [rows, there] = await Promise.all([readObjects(sql, [key]), parts.store.head(key, AbortSignal.timeout(KEEP_MS))]);
  if (rows.get(key)?.etag === earlier.etag && there?.etag === row.etag) await storeObjects(sql, [row]);
}

/** Errors: those that end the attempt. */
async function failed(run: Run, { object }: PlannedObject, error: unknown, queue: Iterable<PlannedObject>): Promise<void> {
  const { signal, context } = run;
  signal.throwIfAborted();
  // A store that takes no object takes none of the others either.
  if (isDatabaseAway(error) || error instanceof StopError || codeOf(error) === 'objects.refused') throw error;
  const reason = messageOf(error);
  if (error instanceof NotEntitledError) {
    // All that are still to come are older.
    const older = Array.from(queue, (one) => one.object.key);
    const because = `older than ${object.period.name}, which the account may not read: ${reason}`;
    return notStored(run, 'not_entitled', [{ key: object.key, reason }, ...older.map((key) => ({ key, reason: because }))]);
  }
  const isLast = context.job.attempt >= context.job.maxAttempts;
  if (error instanceof PermanentError) return notStored(run, 'failed', [{ key: object.key, reason }]);
  run.failuresInARow++;
  const skipped = run.failuresInARow < MOST_FAILURES ? [] : Array.from(queue, (one) => one.object.key);
  if (!isLast) {
    run.retryReasons.getOrInsertComputed(reason, () => []).push(object.period.name);
    return;
  }
  const because = `not asked for, since ${run.failuresInARow} others failed one after the other: ${reason}`;
  await notStored(run, 'failed', [{ key: object.key, reason }, ...skipped.map((key) => ({ key, reason: because }))]);
}

async function notStored(run: Run, state: 'failed' | 'not_entitled', items: readonly { key: string; reason: string }[]): Promise<void> {
  const { context, source } = run;
  const now = context.clock.now();
  const until = state === 'failed' ? now.add({ hours: context.config.history.empty_ttl }) : undefined;
  await commit(
    run,
    items.map((item) => ({ ...item, state })),
    ...items.map(({ key, reason }) => ({ absence: absenceOf(run, { key, state, reason: `${source.name}: ${reason}`, until }) })),
  );
}

function absenceOf(
  { context, source }: Run,
  { until, ...absence }: Pick<Absence, 'key' | 'state' | 'reason'> & { until: Temporal.Instant | undefined },
): Absence {
  return {
    ...absence,
    source: source.name,
    askedAt: new Date(context.clock.now().epochMilliseconds),
    until: until === undefined ? null : new Date(until.epochMilliseconds),
    jobId: idToBytes(context.job.id),
  };
}

/** Decides what empty answers mean, as soon as it is known whether the objects beside have rows; `all`: as far as it is known. */
async function settleEmpties(run: Run, all?: 'all'): Promise<void> {
  const { sql, context, source } = run;
  const { ask_again_after: askAgainAfter, empty_ttl: emptyTtl } = context.config.history;
  const verdicts = await run.empties.settle(sql, context.clock.now(), { askAgainAfter, emptyTtl }, all !== undefined);
  for (const { key, verdict } of verdicts) {
    if (verdict.kind === 'not_yet') {
      const from = verdict.from.toString({ smallestUnit: 'minute' });
      await commit(run, [
        { key, state: 'not_yet', reason: `${source.name} has nothing of it yet; an empty answer counts from ${from} on` },
      ]);
    } else if (verdict.kind === 'again') {
      askAgain(run, verdict.until);
      const reason = `${source.name} has nothing of it, though it has of a day beside`;
      await commit(run, [], { absence: absenceOf(run, { key, state: 'asked_once', reason, until: verdict.until }) });
    } else {
      const reason = `${source.name} has no data of it`;
      await commit(run, [{ key, state: 'no_data', reason }], {
        absence: absenceOf(run, { key, state: 'empty', reason, until: verdict.until }),
      });
    }
  }
}

/** Takes the objects that other jobs have downloaded meanwhile, or have given up. */
async function waitForOthers(run: Run): Promise<void> {
  const until = Math.min(performance.now() + WAIT_MS, run.turn.ends);
  while (run.held.length > 0) {
    const keys = run.held.map(({ object }) => object.key);
    const held = await heldNow(run.sql, keys, run.context.job);
    const free = run.held.filter(({ object }) => !held.has(object.key));
    if (free.length > 0) {
      run.held = run.held.filter(({ object }) => held.has(object.key));
      await work(run, free);
    } else if (performance.now() >= until) return;
    else await delay(LOOK_MS, undefined, { signal: run.signal });
  }
}
