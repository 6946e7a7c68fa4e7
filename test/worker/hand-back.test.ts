/** What a worker makes of jobs that it can neither finish nor fail. */
import { pino } from 'pino';
import { expect, test } from 'vitest';
import { TransientError } from '../../services/platform/errors.ts';
import { fetching, nothing, workshopOfFile } from './workshop.ts';

const shop = await workshopOfFile();
const away = () => new TransientError('database.unavailable', 'the database cannot be reached');

test('a job that meets an outage again at once waits for its next try, and has used up no attempt', async () => {
  const [id] = await shop.enqueue({});
  const { maxAttempts, attempt } = await shop.job(id!);
  let runs = 0;
  shop.worker([
    fetching(async () => {
      runs++;
      throw away();
    }),
  ]);
  const { maxAttempts: most } = await shop.reaches(id!, 'scheduled');
  expect(runs).toBe(2);
  expect(most - 2).toBe(maxAttempts - attempt);
});

test('the log names the outage once, however many jobs it stops, and again after a job has completed', async () => {
  const lines: { level: number; code?: string }[] = [];
  const log = pino({ level: 'info' }, { write: (line: string) => void lines.push(JSON.parse(line)) });
  const told = () => lines.filter(({ level, code }) => level === 40 && code === 'database.unavailable').length;
  let isAway = true;
  const worker = shop.worker(
    [
      fetching(async () => {
        if (isAway) throw away();
        return nothing;
      }),
    ],
    { log: log as never },
  );
  const stopped = await shop.enqueue({}, {}, {}, {});
  for (const id of stopped) await shop.reaches(id, 'scheduled');
  expect(told()).toBe(1);

  isAway = false;
  const [fine] = await shop.enqueue({});
  worker.wake();
  await shop.reaches(fine!, 'completed');
  isAway = true;
  const [next] = await shop.enqueue({});
  await shop.reaches(next!, 'scheduled');
  expect(told()).toBe(2);
});
