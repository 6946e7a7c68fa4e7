/** `stockmesh picks show`, `history`, `record` and `profile`. */
import { showPicks } from '../../job-types/picks/read.ts';
import { type Profile, ProfileSchema } from '../../picks/profile.ts';
import { NOT_ADVICE } from '../../picks/report/disclosures.ts';
import { readProfile, storeProfile } from '../../picks/store/profiles.ts';
import { listReports, type ReportHead } from '../../picks/store/reports.ts';
import { readTrackRecord } from '../../picks/store/track-record.ts';
import { InputError } from '../../platform/errors.ts';
import { recordChange } from '../../platform/registry/audit.ts';
import { parseUser } from '../../platform/user-id.ts';
import { cliActor } from '../actor.ts';
import { stamp } from '../output/numbers.ts';
import { print, printJson } from '../output/print.ts';
import { type Column, table } from '../output/table.ts';
import { type GlobalOptions, withSession } from '../session.ts';
import { reportText } from './text.ts';

type Options = GlobalOptions & { json?: boolean | undefined };

/** Errors: `InputError('picks.none')` for a user without a report. */
export async function show(name: string, { week, json, ...options }: Options & { week?: string | undefined }): Promise<number> {
  const user = parseUser(name);
  return withSession(options, async (session) => {
    const shown = await showPicks({ ...session, config: session.loaded.config }, user, week);
    const { report, disclosures, status, job, isCurrent, thisWeek } = shown;
    if (json) {
      printJson({ report: report ?? null, status, job: job ?? null, is_current: isCurrent, this_week: thisWeek, disclosures });
      return 0;
    }
    if (report === undefined)
      throw new InputError(
        'picks.none',
        `user ${JSON.stringify(user)} has no report${week === undefined ? '' : ` of the week of ${week}`}; "stockmesh picks make ${user}" makes one`,
      );
    const age = isCurrent || status === 'sample' ? [] : [`of the week of ${report.week_of}, and not of this week (${week ?? thisWeek})`];
    const work =
      status === 'making'
        ? ['a new version is being made']
        : status === 'failed'
          ? [`the newest attempt ${job?.state}: ${job?.reason ?? 'no reason given'}`]
          : [];
    const notes = [...age, ...work];
    print(reportText(report, disclosures, notes.length === 0 ? undefined : notes.join('; ')));
    return 0;
  });
}

const HEADS: Column<ReportHead>[] = [
  { title: 'WEEK OF', value: ({ weekOf: week }) => week },
  { title: 'VERSION', value: ({ version }) => version, align: 'right' },
  { title: 'SOURCE', value: ({ source, simulated }) => (simulated ? `${source}, made up` : source) },
  { title: 'PRICES OF', value: ({ dataDate }) => dataDate },
  { title: 'MADE', value: ({ generatedAt }) => stamp(generatedAt), optional: 1 },
  { title: 'PICKS', value: ({ tickers }) => tickers.join(' '), flexible: 20 },
];

export async function history(name: string, { limit, json, ...options }: Options & { limit: number }): Promise<number> {
  const user = parseUser(name);
  return withSession(options, async ({ db }) => {
    const reports = await listReports(db, user, { limit });
    if (json)
      printJson({
        user,
        reports: reports.map(({ weekOf: week, version, source, simulated, dataDate, generatedAt, tickers }) => ({
          ...{ week_of: week, version, source, simulated, data_date: dataDate, generated_at: generatedAt, tickers },
        })),
      });
    else print(reports.length === 0 ? 'no reports' : table(reports, HEADS));
    return 0;
  });
}

const percent = (value: number | null): string | null => (value === null ? null : `${value < 0 ? '' : '+'}${(value * 100).toFixed(1)} %`);

export async function record(name: string, { json, ...options }: Options): Promise<number> {
  const user = parseUser(name);
  return withSession(options, async ({ db, clock, loaded }) => {
    const { index } = loaded.config.picks.universe;
    const found = await readTrackRecord(db, user, index, clock.now());
    if (json) printJson({ user, index, ...found });
    else {
      const without = found.cohorts.without.map(({ weekOf: week, reason }) => `${week} (${reason})`);
      print(
        [
          table(found.horizons, [
            { title: 'WEEKS', value: ({ weeks }) => weeks, align: 'right' },
            { title: 'PICKS', value: ({ picks }) => picks, align: 'right' },
            { title: 'REPORTS', value: ({ cohorts }) => cohorts, align: 'right' },
            { title: 'MEAN', value: ({ mean }) => percent(mean), align: 'right' },
            { title: `OVER ${index}`, value: ({ excess }) => percent(excess), align: 'right' },
            { title: 'OVER UNIVERSE', value: ({ excessOverUniverse }) => percent(excessOverUniverse), align: 'right' },
            { title: 'OPEN', value: ({ open }) => open, align: 'right' },
          ]).trimEnd(),
          ...(without.length === 0 ? [] : [`without a record: ${without.join(', ')}`]),
          ...[...new Set(found.horizons.flatMap(({ notes }) => notes))],
          NOT_ADVICE,
        ].join('\n'),
      );
    }
    return 0;
  });
}

export interface ProfileOptions extends Options {
  risk?: string | undefined;
  timeline?: string | undefined;
  experience?: string | undefined;
  goal?: string[] | undefined;
  budget?: number | undefined;
  interest?: string[] | undefined;
  fractional?: boolean | undefined;
}

/** Shows the profile of a user, or changes what the options name. Errors: `InputError('profile.invalid')`. */
export async function profile(name: string, options: ProfileOptions): Promise<number> {
  const user = parseUser(name);
  const { risk, timeline, experience, goal, budget, interest, fractional, json } = options;
  const given = { risk_tolerance: risk, timeline, experience, goals: goal, monthly_budget: budget, interests: interest, fractional };
  const changes = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  return withSession(options, async ({ db, clock }) => {
    const { profile: before, changedAt } = await readProfile(db, user);
    let shown: { profile: Profile; changedAt: Date | null } = { profile: before, changedAt };
    if (Object.keys(changes).length > 0) {
      const parsed = ProfileSchema.safeParse({ ...before, ...changes });
      if (!parsed.success)
        throw new InputError('profile.invalid', parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; '));
      const now = new Date(clock.now().epochMilliseconds);
      await db.transaction(async (tx) => {
        await storeProfile(tx, user, parsed.data, now);
        recordChange(tx, cliActor(), { action: 'profile.replace', target: `user:${user}`, details: Object.keys(changes).join(', ') });
      });
      shown = { profile: parsed.data, changedAt: now };
    }
    if (json) printJson({ user, profile: shown.profile, changed_at: shown.changedAt });
    else
      print(
        `${Object.entries(shown.profile)
          .map(([key, value]) => `${key}: ${Array.isArray(value) ? value.join(', ') || 'any' : value}`)
          .join('\n')}${shown.changedAt === null ? '\n(the defaults: no profile is stored)' : ''}`,
      );
    return 0;
  });
}
