import { pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { connectBus } from '../../../services/platform/bus/bus.ts';
import { watchPresence } from '../../../services/platform/bus/presence.ts';
import { stockmesh } from '../../e2e/command.ts';
import { longTest } from '../../support/long.ts';
import type { Ground } from '../logins/mesh.ts';
import { openGround } from '../logins/mesh.ts';
import { MAIN } from '../processes.ts';
import { ALL_WRONG, CLOCK_CASES } from './cases.ts';
import { wrongClock } from './processes.ts';
import { type ClockMesh, runClockRounds } from './trial.ts';

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

/** Whole minutes as seconds: -599.98 is -600. */
const whole = (seconds: number | undefined): number => Math.round((seconds ?? Number.NaN) / 60) * 60 + 0;

type Offsets = Record<string, number>;
const offsetsOf = (pairs: readonly { instance: string; clock_offset_s?: number }[]): Offsets =>
  Object.fromEntries(pairs.map(({ instance, clock_offset_s }) => [instance, whole(clock_offset_s)]));

/** What each place says about the clocks while the services run. */
async function shownOffsets(mesh: ClockMesh) {
  const get = (path: string) =>
    fetch(`http://127.0.0.1:${mesh.httpPort}${path}`, { headers: { authorization: `Bearer ${ground.secrets.gateway.operator}` } });
  const workers = (await (await get('/v1/workers')).json()) as { instances: { instance: string; clock_offset_s: number }[] };
  const ready = (await (await get('/readyz')).json()) as { status: string; clock_offset_s: number };
  const metrics = await (await get('/metrics')).text();
  const command = stockmesh(
    ['--data', ground.folder, '--env', 'demo', 'stats', '--json'],
    process.execPath,
    [MAIN],
    wrongClock(ALL_WRONG.cli),
  );
  expect(await command.exited, command.output()).toBe(0);
  const stats = JSON.parse(command.output()) as { clock_offset_s: number; instances: { instance: string; clock_offset_s: number }[] };
  return {
    workers: offsetsOf(workers.instances),
    ready: [ready.status, whole(ready.clock_offset_s)],
    metric: whole(Number(/^stockmesh_clock_offset_seconds (\S+)$/m.exec(metrics)?.[1])),
    stats: offsetsOf(stats.instances),
    statsOwn: whole(stats.clock_offset_s),
    presence: await presentOffsets(mesh),
    alert: await alertedOffsets(),
  };
}

async function presentOffsets({ mqttPort }: ClockMesh): Promise<Offsets> {
  const bus = connectBus({
    ...{ host: '127.0.0.1', port: mqttPort, username: 'service', password: ground.secrets.mqtt.service },
    ...{ service: 'test', instance: 'clocks', log: pino({ level: 'silent' }) },
  });
  try {
    const offsets: Offsets = {};
    watchPresence(bus, ({ service, instance, clock_offset_s }) => {
      if (service !== 'test' && clock_offset_s !== undefined) offsets[instance] = whole(clock_offset_s);
    });
    await expect.poll(() => Object.keys(offsets)).toHaveLength(6);
    return offsets;
  } finally {
    await bus.close();
  }
}

async function alertedOffsets(): Promise<Offsets> {
  const text = async () =>
    (await ground.db.rows<{ text: string }>("SELECT text FROM alerts WHERE name = 'clock_offset' AND state = 'raised'"))[0]?.text;
  // At first it names the scheduler alone, which starts before the others.
  await expect.poll(text).toContain('5 of 6 instances');
  const named = [...((await text()) as string).matchAll(/(\S+) ([+-]\d+)\.\d s/g)];
  return Object.fromEntries(named.map(([, instance, seconds]) => [instance, whole(Number(seconds))]));
}

test('with another clock in every process nothing fails, expires, changes hands or comes out of order, and each clock is shown', async () => {
  let shown: Awaited<ReturnType<typeof shownOffsets>> | undefined;
  const [counts] = await runClockRounds(ALL_WRONG, 'all', ground, 1, async (mesh) => {
    shown = await shownOffsets(mesh);
  });
  expect(counts).toMatchObject({ ...UNHARMED, done: (counts?.sent ?? 0) * 2 });
  const wrong = {
    'all-scheduler': 600,
    'all-standby': -600,
    'all-portfolio-priority': -600,
    'all-gateway': 60,
    'all-worker': -60,
  };
  const all = { ...wrong, 'all-true': 0 };
  expect(shown).toEqual({ workers: all, ready: ['ok', 60], metric: 60, stats: all, statsOwn: -3600, presence: all, alert: wrong });
}, 120_000);

/** Among the long trials; `npm run faults` runs all cases. */
const SET_WHILE_THEY_RUN = 'clocks: those of three services are set while they run';

longTest.each(CLOCK_CASES.filter(({ name }) => name === SET_WHILE_THEY_RUN).map((one, index) => [one.name, one, `short${index}`] as const))(
  '%s: nothing fails, expires, changes hands or comes out of order',
  async (_, { run }, id) => {
    for (const counts of await run(id, ground, 2)) expect(counts).toMatchObject({ ...UNHARMED, done: counts.sent * 2 });
  },
  120_000,
);
