/** The track record from stored bars. Expected returns are written out by hand. */
import { beforeEach, expect, test } from 'vitest';
import { usCalendar } from '../../../services/market/calendar/calendar.ts';
import { storeReports } from '../../../services/picks/store/reports.ts';
import { computeReturns, readTrackRecord, storeReturns } from '../../../services/picks/store/track-record.ts';
import { databaseOfFile } from '../../support/database.ts';
import { reportFor } from '../report/invented-report.ts';

const { db } = await databaseOfFile();
/** Monday before the session; its close, of 2026-11-23, is the first at which a reader could buy. A week later is 2026-11-30. */
const MADE = '2026-11-23T13:30:00Z';
const START = '2026-11-23';
const NOW = Temporal.Instant.from('2026-12-02T12:00:00Z');
const report = { ...reportFor(), user_id: 'alice', week_of: '2026-11-23', generated_at: MADE };
const [one, other, third] = report.stock_picks.map(({ ticker }) => ticker) as [string, string, string];

async function bars(symbol: string, closeOn: (date: string) => number): Promise<void> {
  const rows = usCalendar.tradingDays('2026-11-20', '2026-12-01').map((date) => {
    const close = closeOn(date);
    return [symbol, date, close, close, close, close, close, 1000, 'yahoo_finance', new Date()];
  });
  await db.run('INSERT INTO bars (symbol, date, open, high, low, close, adjusted_close, volume, source, as_of) VALUES ?', [rows]);
}

async function update(): Promise<void> {
  const rows = await computeReturns(db, 'SPY', NOW);
  await db.transaction((tx) => storeReturns(tx, rows, new Date(NOW.epochMilliseconds)));
}

const record = () => readTrackRecord(db, 'alice', 'SPY', NOW);

beforeEach(async () => {
  for (const table of ['weekly_reports', 'pick_universes', 'pick_returns', 'pick_universe_returns', 'bars', 'corporate_actions'])
    await db.run(`DELETE FROM ${table}`);
  const split = (date: string): number => (date >= '2026-11-25' ? 55 : 100);
  await bars('SPY', (date) => (date > START ? 101 : 100));
  await bars(one, (date) => (date > START ? 110 : 100));
  await bars(other, split);
  await db.run(
    "INSERT INTO corporate_actions (symbol, date, kind, value, source, as_of) VALUES (?, '2026-11-25', 'split', 2, 'yahoo_finance', NOW(3))",
    [other],
  );
  await db.transaction((tx) => storeReports(tx, [{ report: { ...report, version: 1 }, jobId: Buffer.alloc(16), eligible: [one, other] }]));
});

test('a pick is measured from the first close that a reader could get, splits included, and a week without a report is listed', async () => {
  await update();
  const { cohorts, horizons } = await record();
  const [week] = horizons;
  const returns = new Map(week?.returns[0]?.picks.map(({ symbol, result }) => [symbol, result]));
  expect(returns.get(one)).toMatchObject({ state: 'final', start: { date: START, close: 100 }, end: { date: '2026-11-30', close: 110 } });
  expect(returns.get(one)?.value).toBeCloseTo(0.1, 12);
  // 100 for one old share, 2 × 55 for two new ones.
  expect(returns.get(other)?.value).toBeCloseTo(0.1, 12);
  expect(returns.get(third)).toMatchObject({ state: 'missing', value: null });
  expect(week?.returns[0]?.index).toBeCloseTo(0.01, 12);
  expect(week?.returns[0]?.universe).toBeCloseTo(0.1, 12);
  expect(week?.excess).toBeCloseTo(0.09, 12);
  expect(horizons[1]?.returns[0]?.picks[0]?.result.state).toBe('open');
  expect(cohorts.without).toEqual([{ weekOf: '2026-11-30', reason: 'no_report' }]);
});

test('a later version of the week changes nothing, and what is settled is not computed again', async () => {
  await update();
  await db.transaction((tx) =>
    storeReports(tx, [{ report: { ...report, version: 2, generated_at: '2026-11-27T13:30:00Z' }, jobId: Buffer.alloc(16), eligible: [] }]),
  );
  await db.run('UPDATE bars SET close = 1 WHERE symbol = ?', [one]);
  await update();
  const { cohorts, horizons } = await record();
  expect(cohorts.counted.map(({ version }) => version)).toEqual([1]);
  expect(horizons[0]?.returns[0]?.picks[0]?.result.value).toBeCloseTo(0.1, 12);
});

test('samples and simulated reports have no record', async () => {
  await db.run('UPDATE weekly_reports SET is_simulated = 1');
  await update();
  expect(await db.rows('SELECT symbol FROM pick_returns')).toEqual([]);
  expect((await record()).cohorts.without[0]).toEqual({ weekOf: '2026-11-23', reason: 'simulated' });
});
