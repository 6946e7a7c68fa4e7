import { afterAll, beforeAll, expect, test } from 'vitest';
import { findMosquitto } from '../../../broker/mosquitto.ts';
import { isLong } from '../../support/long.ts';
import { CASES, type FaultCase } from './cases.ts';
import { type Ground, openGround } from './mesh.ts';
import { brokenPromise, type CaseResult, LIMITS, runCase } from './run-case.ts';
import { countRound } from './tally.ts';

const hasMosquitto = findMosquitto() !== undefined;
/** In the suite. */
const SHORT = [
  'embedded: SIGKILL of portfolio-priority and the broker',
  'embedded: HTTP, the broker away',
  hasMosquitto ? 'mosquitto: SIGTERM of portfolio-priority' : 'embedded: SIGTERM of portfolio-priority',
];
/** Beside them among the long trials. `npm run faults` runs all cases, twenty rounds each. */
const LONG = ['embedded: SIGTERM of portfolio-priority', 'embedded: first start, logins before the first subscription'];
const LIMITS_OF_TEST = { ...LIMITS, rounds: 1, hookMs: 15_000, quietMs: 4_000, jobsMs: 15_000 };

let ground: Ground;
const cleanup = new Set<() => Promise<void>>();
beforeAll(async () => {
  ground = await openGround();
});
afterAll(async () => {
  for (const stop of cleanup) await stop();
  await ground.stop();
});

const caseOf = (name: string): FaultCase => CASES.find((one) => one.name === name) as FaultCase;
const names = [...new Set(isLong ? [...SHORT, ...LONG] : SHORT)];

test.each(names.map((name, index) => [name, `short${index}`] as const))(
  '%s: every login is acknowledged, committed and done once',
  async (name, id) => {
    const result = await runCase(caseOf(name), id, ground, LIMITS_OF_TEST, cleanup);
    expect(brokenPromise(result), JSON.stringify(result)).toBeUndefined();
    expect(result.acknowledged).toBeGreaterThan(50);
  },
  60_000,
);

const at = 1_000;
const login = (userId: string, acknowledged: boolean) => ({ userId, at, acknowledged });

test('an acknowledged login without a row is lost, one that was not acknowledged is not', () => {
  const logins = [login('kept', true), login('lost', true), login('refused', false), login('unanswered', false)];
  const committed = new Map([
    ['kept', at + 7],
    ['unanswered', at + 3],
  ]);
  expect(countRound(logins, committed)).toEqual({ sent: 4, acknowledged: 2, committed: 2, lost: 1, longestMs: 7 });
});

test('a loss breaks the promise of a case that makes one; doubled jobs and logins that are never acknowledged break it always', () => {
  const kept: CaseResult = {
    case: 'a case',
    promised: true,
    rounds: 1,
    sent: 2,
    acknowledged: 2,
    committed: 2,
    lost: 0,
    answeredTwice: 1,
    longestMs: 5,
    jobs: 2,
    jobsTwice: 0,
    jobsUndone: 0,
  };
  expect(brokenPromise(kept)).toBeUndefined();
  expect(brokenPromise({ ...kept, lost: 1 })).toBe('1 acknowledged logins lost');
  expect(brokenPromise({ ...kept, promised: false, lost: 1 })).toBeUndefined();
  expect(brokenPromise({ ...kept, promised: false, acknowledged: 1 })).toBe('1 logins never acknowledged');
  expect(brokenPromise({ ...kept, promised: false, jobsTwice: 1 })).toBe('1 jobs done twice');
});
