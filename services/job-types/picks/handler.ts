import type { z } from 'zod';
import { idToBytes } from '../../ledger/id.ts';
import type { Asking } from '../../model/ask.ts';
import { type ModelClient, modelClient } from '../../model/client.ts';
import { readIntent } from '../../model/spend.ts';
import { type ListedNames, listedNames } from '../../model/words/names.ts';
import { rulesOf } from '../../picks/configured.ts';
import { quantReport } from '../../picks/report/build.ts';
import type { Report } from '../../picks/report/schema.ts';
import { reportViolations } from '../../picks/report/validate.ts';
import { screenFor } from '../../picks/screen/screen.ts';
import { heldShares } from '../../picks/store/held.ts';
import { readProfile } from '../../picks/store/profiles.ts';
import { listReports, type NewReport, readDraft, readReport, storeDraft, storeReports } from '../../picks/store/reports.ts';
import { createUniverses, type Universes } from '../../picks/store/universes.ts';
import type { ScreenedUniverse } from '../../picks/universe/universe.ts';
import { wordReport } from '../../picks/wording/wording.ts';
import { wordingKey } from '../../picks/words/apply.ts';
import type { Database, Sql } from '../../platform/database/database.ts';
import { PermanentError } from '../../platform/errors.ts';
import { type Handler, handler, type JobContext, type JobOutput } from '../handler.ts';
import { type PicksPayload, picksType } from './definition.ts';

export interface PicksHandlerParts {
  sql: Sql;
  db: Database;
}

type Payload = z.output<typeof PicksPayload>;
type Context = JobContext<NewReport>;

/** What all jobs of one worker share. */
interface Shared extends PicksHandlerParts {
  universes?: Universes;
  client?: ModelClient;
  names?: { of: ScreenedUniverse; listed: ListedNames };
}

/** Makes one version of a user's report of a week: the screen, words of the model where one is configured, the checks. The version is inserted with the job's completion. */
export function picksHandler(parts: PicksHandlerParts): Handler<NewReport> {
  const shared: Shared = { ...parts };
  return handler(picksType, (payload, context) => makeReport(payload, context, shared), storeReports);
}

async function makeReport(payload: Payload, context: Context, shared: Shared): Promise<JobOutput<NewReport>> {
  const started = performance.now();
  const { user, week_of: week, reason } = payload;
  const { config } = context;
  const nothing = (warning: string): JobOutput<NewReport> => ({
    rows: [],
    dataMessages: [],
    result: { user, week_of: week, warnings: [warning] },
  });
  if (!config.picks.generation) return nothing('no report is made (picks.generation is false): the sample is shown');
  const [newest] = await listReports(shared.sql, user, { week, limit: 1 });
  // Another run of the week may have made it since this job was asked for.
  if (newest !== undefined && (reason === 'new_week' || reason === 'new_user'))
    return nothing(`the week has its report, version ${newest.version}`);

  shared.universes ??= createUniverses(shared.sql, context.clock, config);
  const universe = await shared.universes.current();
  const report = await wordedReport(payload, newest?.version ?? 0, universe, context, shared);
  const violations = reportViolations(report, rulesOf(config.picks));
  if (violations.length > 0)
    throw new PermanentError(
      'picks.invalid_report',
      `the report breaks its own rules, and is not kept: ${violations.slice(0, 5).join('; ')}`,
    );
  const { version, source, simulated, data_date, stock_picks, fallback_reason, shortfall, cost_usd } = report;
  const eligible = report.universe.hash === universe.hash ? eligibleOf(universe) : null;
  const tells = config.notify.routes.some(({ on }) => on.includes('picks.ready'));
  return {
    // A report that goes on from a draft may be of an earlier universe.
    rows: [{ report, jobId: idToBytes(context.job.id), eligible, tells }],
    dataMessages: [],
    result: {
      ...{ user, week_of: week, version, source, simulated, data_date, fallback_reason, cost_usd },
      picks: stock_picks.map(({ ticker }) => ticker),
      warnings: shortfall === null ? [] : [shortfall.text],
      ms: Math.round(performance.now() - started),
    },
  };
}

const eligibleOf = ({ candidates }: ScreenedUniverse): string[] => candidates.map(({ symbol }) => symbol);

function askingOf({ config, clock, log }: Context, shared: Shared): Asking {
  shared.client ??= modelClient(config.model);
  return { db: shared.db, clock, model: config.model, client: shared.client, log };
}

const wordKey = (user: string, week: string, version: number): string => `picks:${user}:${week}:v${version}:word`;

async function wordedReport(payload: Payload, made: number, universe: ScreenedUniverse, context: Context, shared: Shared): Promise<Report> {
  const { user, week_of: week } = payload;
  const { config, job } = context;
  if (config.model.base_url === null) return draftOf(payload, made + 1, universe, context, shared, 'no_model');

  const version = made + 1;
  const earlier = made === 0 ? undefined : await earlierPayment(payload, made, shared);
  if (earlier !== undefined && 'unknown' in earlier && !allowsPaying(payload, context)) {
    const draft = await draftOf(payload, version, universe, context, shared, 'payment_unknown');
    return { ...draft, cost_state: 'unknown', spend_ids: earlier.unknown };
  }
  // The words are about the facts of the draft that they were bought for, so each attempt goes on from the same one.
  const kept = earlier !== undefined && 'intentKey' in earlier ? earlier : await keptDraft(payload, version, context, shared);
  const draft = kept ?? (await newDraft(payload, version, universe, context, shared));
  const worded = await wordReport(draft.report, {
    asking: askingOf(context, shared),
    intent: { key: draft.intentKey, purpose: 'picks', user, jobId: idToBytes(job.id), attempt: job.attempt },
    listed: namesOf(universe, shared),
    research: config.picks.research,
    payAgain: allowsPaying(payload, context),
    isLastAttempt: job.attempt >= job.maxAttempts,
    signal: context.signal,
  });
  const good =
    reportViolations(worded, rulesOf(config.picks)).length === 0
      ? worded
      : { ...draft.report, ...costOf(worded), fallback_reason: 'invalid_answer' as const };
  return { ...good, version, week_of: week };
}

const allowsPaying = ({ pay_again }: Payload, { config }: Context): boolean => pay_again || config.model.on_unknown === 'pay_again';

const costOf = ({ model, provider, cost_usd, cost_state, spend_ids }: Report) => ({ model, provider, cost_usd, cost_state, spend_ids });

interface KeptDraft {
  intentKey: string;
  report: Report;
}

/**
 * What became of the payment behind the newest version, where that was unknown: its answer may have come since, and belongs to the facts of that version. `unknown`: nobody
 * knows yet, so nothing is bought without leave.
 */
async function earlierPayment(
  { user, week_of: week }: Payload,
  made: number,
  { sql, db }: Shared,
): Promise<KeptDraft | { unknown: string[] } | undefined> {
  const before = await readReport(sql, user, { week, version: made });
  if (before?.fallback_reason !== 'payment_unknown') return undefined;
  const { spend_ids: unknown } = before;
  const [row] = await db.rows<{ intent_key: string }>('SELECT intent_key FROM spend WHERE id IN (?)', [
    unknown.length === 0 ? ['0'] : unknown,
  ]);
  const spend = row && (await readIntent(db, row.intent_key));
  if (spend === undefined || spend.state === 'released') return undefined;
  if (spend.raw === null) return spend.costSource === 'operator' ? undefined : { unknown };
  return { intentKey: spend.intentKey, report: { ...before, cost_state: 'none', spend_ids: [], fallback_reason: 'no_model' } };
}

/** The draft of an earlier attempt of this job; or that of an earlier job whose words were bought or may have been. */
async function keptDraft(
  { user, week_of: week }: Payload,
  version: number,
  { job }: Context,
  { sql, db }: Shared,
): Promise<KeptDraft | undefined> {
  const draft = await readDraft(sql, user, week, version);
  if (draft === undefined) return undefined;
  if (draft.jobId === job.id) return draft;
  const spend = await readIntent(db, draft.intentKey);
  return spend === undefined || spend.state === 'released' ? undefined : draft;
}

async function newDraft(
  payload: Payload,
  version: number,
  universe: ScreenedUniverse,
  context: Context,
  shared: Shared,
): Promise<KeptDraft> {
  const report = await draftOf(payload, version, universe, context, shared, 'no_model');
  const { user, week_of: week } = payload;
  const key = context.config.picks.share_reports ? `picks:shared:${week}:${wordingKey(report)}:word` : wordKey(user, week, version);
  return storeDraft(shared.sql, { intentKey: key, report, jobId: context.job.id }, eligibleOf(universe));
}

async function draftOf(
  { user, week_of: weekOf }: Payload,
  version: number,
  universe: ScreenedUniverse,
  { clock, config }: Context,
  { sql }: Shared,
  fallbackReason: Report['fallback_reason'],
): Promise<Report> {
  const [{ profile }, held, earlier] = await Promise.all([
    readProfile(sql, user),
    heldShares({ sql, clock, config }, user),
    readReport(sql, user, { beforeWeek: weekOf }),
  ]);
  const screen = screenFor(universe, { profile, held });
  return quantReport({
    universe,
    screen,
    userId: user,
    weekOf,
    version,
    generatedAt: clock.now(),
    earlier: earlier ?? null,
    fallbackReason,
  });
}

/** The names of all companies of the universe, made once for each screen. */
function namesOf(universe: ScreenedUniverse, shared: Shared): ListedNames {
  if (shared.names?.of !== universe)
    shared.names = { of: universe, listed: listedNames(universe.candidates.map(({ symbol, name }) => ({ ticker: symbol, name }))) };
  return shared.names.listed;
}
