/** Two portfolio-priority processes that nobody gave a name, over one data folder. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestMesh, type TestMesh } from '../faults/mesh.ts';

let mesh: TestMesh;
const connects: string[] = [];
const answers: string[] = [];
beforeAll(async () => {
  mesh = await startTestMesh();
  await mesh.bus.subscribe('portfolio', {}, ({ body }) => void answers.push(body.user_id)).ready;
  await mesh.bus.subscribe('presence', { params: { service: 'portfolio-priority' }, concurrency: 1 }, ({ body }) => {
    if (body.state === 'online' && !connects.includes(body.session)) connects.push(body.session);
  }).ready;
});
afterAll(() => mesh.stop());

const start = () => mesh.service('portfolio-priority');
const names = async (): Promise<string[]> =>
  (await mesh.db.rows<{ instance: string }>("SELECT instance FROM instances WHERE service = 'portfolio-priority' ORDER BY instance")).map(
    ({ instance }) => instance,
  );
const signIn = (users: readonly string[]) =>
  Promise.all(users.map((userId) => mesh.bus.publish('login', { userId, at: new Date().toISOString() })));
const usersOf = (name: string, count: number) => Array.from({ length: count }, (_, index) => `${name}${index}`);
const kill = async (child: ChildProcess): Promise<void> => {
  child.kill('SIGKILL');
  await once(child, 'exit');
};

test('have two names, and answer every login, whichever of them is killed or stopped', { timeout: 120_000 }, async () => {
  const [first, second] = await Promise.all([start(), start()]);
  const both = await names();
  expect(new Set(both).size).toBe(2);
  await expect.poll(() => connects, { timeout: 10_000 }).toHaveLength(2);
  const users = usersOf('both', 200);
  await signIn(users);
  await expect.poll(() => new Set(answers).size, { timeout: 20_000 }).toBeGreaterThanOrEqual(200);

  // The next ones find the sessions of those that were killed, with the logins that came meanwhile.
  await Promise.all([kill(first), kill(second)]);
  await signIn(usersOf('away', 50));
  const [third, fourth] = await Promise.all([start(), start()]);
  expect(await names()).toEqual(both);
  await expect.poll(() => new Set(answers).size, { timeout: 20_000 }).toBeGreaterThanOrEqual(250);

  // One leaves for good, and the other stops a moment later: the next start finds what came.
  third.kill('SIGTERM');
  await once(third, 'exit');
  await signIn(usersOf('left', 20));
  await expect.poll(() => new Set(answers).size, { timeout: 20_000 }).toBeGreaterThanOrEqual(270);
  fourth.kill('SIGTERM');
  await once(fourth, 'exit');
  await signIn(usersOf('stopped', 20));
  await start();
  await expect.poll(() => new Set(answers).size, { timeout: 20_000 }).toBeGreaterThanOrEqual(290);
  const all = [...users, ...usersOf('away', 50), ...usersOf('left', 20), ...usersOf('stopped', 20)];
  // What was on its way to a killed process is delivered again, and may have been answered by it [MQTT-4.3.2]. All others are answered once.
  expect(new Set(answers)).toEqual(new Set(all));
  const calm = (user: string): boolean => !user.startsWith('away');
  expect(answers.filter(calm).toSorted()).toEqual(all.filter(calm).sort());
});
