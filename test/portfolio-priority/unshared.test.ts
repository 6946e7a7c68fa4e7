/** Two portfolio-priority processes at a broker that shares no subscription among them (NATS, RabbitMQ): both hear every login. */
import type { ChildProcess } from 'node:child_process';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { addHoldings } from '../../services/market/portfolios/holdings.ts';
import { startTestMesh, type TestMesh } from '../faults/mesh.ts';
import { endProcess } from '../faults/processes.ts';

let mesh: TestMesh;
let services: ChildProcess[];
const answers: string[] = [];
beforeAll(async () => {
  mesh = await startTestMesh();
  await mesh.bus.subscribe('portfolio', {}, ({ body }) => void answers.push(body.user_id)).ready;
  const set = ['queue.mqtt.share_logins=false'];
  services = await Promise.all([mesh.service('portfolio-priority', set), mesh.service('portfolio-priority', set)]);
});
afterAll(() => mesh.stop());

test('each login is admitted by whichever is first and answered once, and its jobs are made once', { timeout: 60_000 }, async () => {
  const users = Array.from({ length: 200 }, (_, index) => `u${index}`);
  const positions = users.map((user, index) => ({ user, symbol: `S${index}`, quantity: 1, cost: 1 }));
  await mesh.db.transaction((tx) => addHoldings(tx, positions, new Date()));
  await Promise.all(users.map((userId) => mesh.bus.publish('login', { userId, at: new Date().toISOString() })));
  await expect.poll(() => new Set(answers).size, { timeout: 30_000 }).toBe(users.length);
  // A service that stops has done, and answered, all that it had heard.
  await Promise.all(services.map((service) => endProcess(service, 'SIGTERM')));
  expect(answers.toSorted()).toEqual(users.toSorted());
  const jobs = await mesh.db.rows<{ symbol: string; jobs: number }>(
    "SELECT symbol, COUNT(*) AS jobs FROM job_states WHERE type = 'fetch' GROUP BY symbol",
  );
  expect(jobs.map(({ jobs: made }) => made)).toEqual(users.map(() => 1));
});
