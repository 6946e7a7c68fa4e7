import { expect, test } from 'vitest';
import { rankingRequests, rankRequests } from '../../../services/job-types/rank/request.ts';
import type { Origin } from '../../../services/job-types/request.ts';
import { enqueue } from '../../../services/ledger/enqueue/enqueue.ts';
import { claim } from '../../../services/ledger/run/claim.ts';
import { complete } from '../../../services/ledger/run/complete.ts';
import { MODES, type Mode } from '../../../services/market/options/scoring/parts.ts';
import { workshopOfFile } from '../../worker/workshop.ts';

const shop = await workshopOfFile();

test('a symbol without fresh prices is fetched unless all the modes that are asked for are ranked already', async () => {
  const { config, ledger, db } = shop;
  const origin: Origin = { cause: 'user_request', rules: config.jobs.priority_rules };
  const [one, other] = MODES;
  const asked = async (...modes: Mode[]): Promise<string[]> => {
    const requests = await rankingRequests(['AAPL'], modes, { config, clock: ledger.clock, db, origin });
    return requests.map(({ type, payload }) => [type, payload.mode].filter((part) => part !== undefined).join(' '));
  };
  expect(await asked(one, other)).toEqual(['fetch', `rank ${one}`, `rank ${other}`]);

  await enqueue(ledger, rankRequests(['AAPL'], [one], origin, { windowSeconds: 300, stale: new Set() }));
  const { jobs } = await claim(ledger, 'w1', 1);
  await complete(
    ledger,
    'w1',
    jobs.map((job) => ({ job })),
  );
  expect(await asked(one)).toEqual([`rank ${one}`]);
  expect(await asked(one, other)).toEqual(['fetch', `rank ${one}`, `rank ${other}`]);
});
