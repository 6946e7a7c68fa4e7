/** The sample report of static mode: made by the same screen from made-up prices and company figures of a day of its own. It never stands for a real week. */
import { usCalendar } from '../market/calendar/calendar.ts';
import { simulatedResearch } from '../market/research/simulated.ts';
import { simulatedSource } from '../market/sources/simulated.ts';
import type { Clock } from '../platform/clock.ts';
import type { Config } from '../platform/config/load.ts';
import { rulesOf } from './configured.ts';
import { ProfileSchema } from './profile.ts';
import { asSample, quantReport } from './report/build.ts';
import type { Report } from './report/schema.ts';
import { weekOf } from './report/week.ts';
import { screenFor } from './screen/screen.ts';
import { fundamentalsOf } from './store/members.ts';
import { dataDateOf } from './universe/data-date.ts';
import { priceHistoryOf, type UniverseMember } from './universe/input.ts';
import { screenUniverse } from './universe/universe.ts';

/** Monday, 5:30 in Los Angeles. */
const AT = Temporal.Instant.from('2026-01-05T13:30:00Z');
const SEED = 1;
const SYMBOLS =
  'AAPL MSFT NVDA ORCL GOOGL META DIS VZ AMZN HD MCD NKE WMT PG KO PEP JPM BAC V AXP UNH JNJ PFE MRK CAT GE HON UPS XOM CVX NEE DUK LIN FCX PLD AMT'.split(
    ' ',
  );

let made: Promise<Report> | undefined;

/** The sample with its own date, for whoever asks; made once a process. */
export async function sampleReport(user: string, config: Pick<Config, 'picks'>): Promise<Report> {
  made ??= make(config);
  return { ...(await made), user_id: user };
}

async function make({ picks }: Pick<Config, 'picks'>): Promise<Report> {
  const clock: Clock = { now: () => AT };
  const prices = simulatedSource({ seed: SEED, clock, isTradingDay: usCalendar.isTradingDay });
  const research = simulatedResearch({ seed: SEED, clock });
  const signal = new AbortController().signal;
  const memberOf = async (symbol: string): Promise<UniverseMember> => {
    const [{ bars, actions }, figures] = await Promise.all([
      prices.bars(symbol, { from: '2024-10-01' }, signal),
      research.fundamentals(symbol, signal),
    ]);
    const splits = actions.filter(({ kind }) => kind === 'split').map(({ date, value }) => ({ date, ratio: value }));
    return {
      symbol,
      history: priceHistoryOf(bars),
      barsSource: 'simulated',
      splits,
      fundamentals: fundamentalsOf(figures),
      simulated: true,
    };
  };
  const [index, ...members] = await Promise.all([picks.universe.index, ...SYMBOLS].map(memberOf));
  const universe = screenUniverse({
    members,
    index: index?.history ?? null,
    dataDate: dataDateOf(members, AT, usCalendar) as string,
    at: AT,
    calendar: usCalendar,
    allowSimulated: true,
    rules: rulesOf(picks),
  });
  const screen = screenFor(universe, { profile: ProfileSchema.parse({}), held: new Map() });
  return asSample(
    quantReport({
      universe,
      screen,
      userId: 'sample',
      weekOf: weekOf(AT),
      version: 1,
      generatedAt: AT,
      earlier: null,
      fallbackReason: 'sample',
    }),
  );
}
