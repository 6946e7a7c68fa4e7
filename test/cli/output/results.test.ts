import { expect, test } from 'vitest';
import { type JobResult, resultsTable } from '../../../services/cli/output/results.ts';

const fetched = {
  ...{ id: '1', type: 'fetch', symbol: 'OLD', state: 'completed', attempt: 1, source: 'lean', bars: 9, written: 9, through: '2021-03-31' },
  ...{ stale: false, simulated: false, warnings: [], signal: null, confidence: null, mode: null, eligible: null, kept: null, ms: 5 },
  ...{ fresh_after_ms: 9, reason: null, items: null },
} satisfies JobResult;
const price = {
  symbol: 'OLD',
  state: 'outdated',
  sessions_behind: 3,
  reason: 'newest bar 2021-03-31',
  unknown: false,
  simulated: false,
} as const;
const noteOf = (job: Partial<JobResult>, simulated = false) =>
  resultsTable([{ ...fetched, ...job }], [], [{ ...price, simulated }])
    .split('\n')[1]!
    .split(/ {2,}/)
    .at(-1);

test.each([
  ['nothing else', noteOf({}), 'outdated: newest bar 2021-03-31'],
  ['a warning', noteOf({ warnings: ['1 bar left out'] }), '1 bar left out; outdated: newest bar 2021-03-31'],
  ['made-up prices', noteOf({}, true), 'made-up prices; outdated: newest bar 2021-03-31'],
  [
    'an answer given again',
    noteOf({ stale: true }),
    'no source had newer data: the stored data is given again; outdated: newest bar 2021-03-31',
  ],
])('old prices are called outdated beside %s', (_, note, expected) => {
  expect(note).toBe(expected);
});
