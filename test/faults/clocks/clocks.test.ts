import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Ground } from '../logins/mesh.ts';
import { openGround } from '../logins/mesh.ts';
import { ALL_WRONG, CLOCK_CASES } from './cases.ts';
import { type ClockMesh, runClockRound } from './trial.ts';

let ground: Ground;
beforeAll(async () => {
  ground = await openGround();
});
afterAll(() => ground.stop());

const UNHARMED = {
  lost: 0,
  doubled: 0,
  failed: 0,
  harm: { jobsFailed: 0, jobsExpired: 0, leasesLost: 0, leadsStolen: 0, outOfOrder: 0 },
};

/** What each place says about the clocks, in whole minutes as seconds: -599.98 is -600. */
async function shownOffsets({ ground: { db, secrets }, httpPort, instanceOf }: ClockMesh) {
  const whole = (seconds: number | null | undefined) => Math.round((seconds ?? Number.NaN) / 60) * 60;
  const get = async (path: string) =>
    fetch(`http://127.0.0.1:${httpPort}${path}`, { headers: { authorization: `Bearer ${secrets.gateway.operator}` } });
  const { instances } = (await (await get('/v1/workers')).json()) as { instances: { instance: string; clock_offset_s: number }[] };
  const ready = (await (await get('/readyz')).json()) as { status: string; clock_offset_s: number };
  const metrics = await (await get('/metrics')).text();
  const alert = () => db.rows<{ text: string }>("SELECT text FROM alerts WHERE name = 'clock_offset' AND state = 'raised'");
  // At first it names the scheduler alone, which starts before the others.
  await expect.poll(async () => (await alert())[0]?.text).toContain('5 of 6 instances');
  return {
    instances: Object.fromEntries(instances.map(({ instance, clock_offset_s }) => [instance, whole(clock_offset_s)])),
    ready: [ready.status, whole(ready.clock_offset_s)],
    metric: whole(Number(/^stockmesh_clock_offset_seconds (\S+)$/m.exec(metrics)?.[1])),
    alerted: [...(await alert())[0]!.text.matchAll(/(\S+) ([+-]\d+)\.\d s/g)].map(([, instance, seconds]) => [
      instance,
      whole(Number(seconds)),
    ]),
    instanceOf,
  };
}

test('with another clock in every process nothing fails, expires, changes hands or comes out of order, and each clock is shown', async () => {
  let shown: Awaited<ReturnType<typeof shownOffsets>> | undefined;
  const counts = await runClockRound(ALL_WRONG, 'all', ground, async (mesh) => {
    shown = await shownOffsets(mesh);
  });
  expect(counts).toMatchObject({ ...UNHARMED, done: counts.sent * 2 });
  expect(shown?.instances).toEqual({
    'all-scheduler': 600,
    'all-standby': -600,
    'all-portfolio-priority': -600,
    'all-gateway': 60,
    'all-worker': -60,
    'all-true': 0,
  });
  expect(shown?.ready).toEqual(['ok', 60]);
  expect(shown?.metric).toBe(60);
  expect(Object.fromEntries(shown?.alerted ?? [])).toEqual({
    'all-scheduler': 600,
    'all-standby': -600,
    'all-portfolio-priority': -600,
    'all-gateway': 60,
    'all-worker': -60,
  });
}, 120_000);

/** One round of a few cases; the fault suite runs all of them, ten rounds each. */
const SHORT = ['clocks: those of three services are set while they run'];

test.each(CLOCK_CASES.filter(({ name }) => SHORT.includes(name)).map((one, index) => [one.name, one, `short${index}`] as const))(
  '%s: nothing fails, expires, changes hands or comes out of order',
  async (_, { round }, id) => {
    const counts = await round(id, ground);
    expect(counts).toMatchObject({ ...UNHARMED, done: counts.sent * 2 });
  },
  120_000,
);
