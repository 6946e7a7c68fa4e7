import { expect, test, vi } from 'vitest';
import { TransientError } from '../../../services/platform/errors.ts';
import { type Duties, startDuties } from '../../../services/scheduler/duties.ts';
import { reannounceDuty } from '../../../services/scheduler/reannounce.ts';
import { silent } from '../../broker/peers.ts';
import { configOf } from '../configuration.ts';
import { fixture } from '../mesh.ts';

const mesh = fixture();

/** The pauses that were asked for, in milliseconds; long ones end at once. */
const pauses: number[] = [];
vi.mock('node:timers/promises', async (original) => {
  const real = await original<typeof import('node:timers/promises')>();
  const setTimeout: typeof real.setTimeout = (ms = 0, ...rest) => {
    pauses.push(ms);
    return real.setTimeout(ms > 500 ? 0 : ms, ...rest);
  };
  return { ...real, setTimeout };
});

const waitFor = (check: () => void) => vi.waitFor(check, { timeout: 15_000, interval: 2 });

async function during(duties: Duties, check: () => Promise<void>): Promise<void> {
  try {
    await check();
  } finally {
    await duties.stop();
  }
}

test('a duty runs at once and again after its interval', async () => {
  let runs = 0;
  const run = async () => void runs++;
  await during(startDuties([{ name: 'a', everySeconds: 0.01, run }], silent), () => waitFor(() => expect(runs).toBeGreaterThan(3)));
});

test('a duty that takes longer than its interval does not overlap itself, and keeps no other from running', async () => {
  let under = 0;
  let most = 0;
  let slow = 0;
  let quick = 0;
  const duties = startDuties(
    [
      {
        name: 'slow',
        everySeconds: 0.001,
        async run(signal) {
          most = Math.max(most, ++under);
          const before = quick;
          // The one under way at the end would wait for a duty that has stopped.
          await waitFor(() => expect(signal.aborted || quick > before + 2).toBe(true));
          under--;
          slow++;
        },
      },
      { name: 'quick', everySeconds: 0.001, run: async () => void quick++ },
    ],
    silent,
  );
  await during(duties, () => waitFor(() => expect(slow).toBeGreaterThan(3)));
  expect(most).toBe(1);
});

test('a duty that fails is tried again after its interval', async () => {
  let runs = 0;
  const run = async () => {
    if (++runs < 3) throw new Error('a defect');
  };
  await during(startDuties([{ name: 'a', everySeconds: 0.005, run }], silent), () => waitFor(() => expect(runs).toBeGreaterThan(4)));
});

test('while the database is away the pauses grow, the outage is said once, and so is its end', async () => {
  const said: string[] = [];
  const log = Object.assign(Object.create(silent), {
    warn: (_: unknown, text: string) => said.push(text),
    info: (text: string) => said.push(text),
  });
  let away = true;
  const starts: number[] = [];
  const run = async () => {
    starts.push(performance.now());
    if (away) throw new TransientError('database.unavailable', 'the database cannot be reached');
  };
  const duties = startDuties(
    ['a', 'b'].map((name) => ({ name, everySeconds: 0.02, run })),
    log,
  );
  await during(duties, async () => {
    await waitFor(() => expect(starts.length).toBe(8));
    away = false;
    await waitFor(() => expect(said).toHaveLength(2));
    // The end of the outage is said once, however often both run afterwards.
    await waitFor(() => expect(starts.length).toBeGreaterThan(16));
  });
  expect(said).toEqual(['the database cannot be reached; all duties wait for it', 'the database is back']);
  // Each of the two: pauses of 40, 80 and 160 ms.
  expect(starts[7]! - starts[0]!).toBeGreaterThan(270);
});

test.each([
  // The interval, doubled with each failure up to two seconds, and the interval again after a success.
  [0.8, [1_600, 2_000, 800, 1_600, 800, 800]],
  // A longer interval is not lengthened; a defect costs no more than the interval.
  [3, [3_000, 3_000, 3_000, 3_000, 3_000, 3_000]],
  [0.3, [600, 1_200, 300, 600, 300, 300]],
])('a duty of every %d s pauses in an outage for %j ms', async (everySeconds, expected) => {
  const away = new TransientError('database.unavailable', 'the database is away');
  const failures = [away, away, undefined, away, undefined, new Error('a defect')];
  let runs = 0;
  const run = async () => {
    const failure = failures[runs++];
    if (failure !== undefined) throw failure;
  };
  pauses.length = 0;
  await during(startDuties([{ name: 'a', everySeconds, run }], silent), () => waitFor(() => expect(pauses.length).toBeGreaterThan(6)));
  expect(pauses.slice(0, 6)).toEqual(expected);
});

test('an outage that comes again is said again, and a failure is said each time with the interval', async () => {
  const said: string[] = [];
  const say = (_: unknown, text: string) => void said.push(text);
  const log = Object.assign(Object.create(silent), { warn: say, error: say, info: (text: string) => said.push(text) });
  const away = new TransientError('database.unavailable', 'the database is away');
  const failures = [away, undefined, away, undefined, new Error('a defect'), new Error('a defect')];
  let runs = 0;
  const run = async () => {
    const failure = failures[runs++];
    if (failure !== undefined) throw failure;
  };
  await during(startDuties([{ name: 'a', everySeconds: 0.001, run }], log), () => waitFor(() => expect(runs).toBeGreaterThan(8)));
  const outage = ['the database is away; all duties wait for it', 'the database is back'];
  const failed = 'a failed and is tried again in 0.001 s: a defect';
  expect(said).toEqual([...outage, ...outage, failed, failed]);
});

test('a duty that is due in a month is not due at once: no timer is longer than Node can', async () => {
  pauses.length = 0;
  const duties = startDuties([{ name: 'a', everySeconds: 31 * 86_400, run: async () => {} }], silent);
  await during(duties, () => waitFor(() => expect(pauses[0]).toBe(2_147_483_647)));
});

test('stopping waits for the run under way, tells it, and starts no other', async () => {
  const release = Promise.withResolvers<void>();
  let told: AbortSignal | undefined;
  let runs = 0;
  const run = async (signal: AbortSignal) => {
    runs++;
    told = signal;
    await release.promise;
  };
  const duties = startDuties([{ name: 'a', everySeconds: 0, run }], silent);
  await waitFor(() => expect(runs).toBe(1));
  let stopped = false;
  const stopping = duties.stop().then(() => {
    stopped = true;
  });
  expect(told?.aborted).toBe(true);
  await new Promise(setImmediate);
  expect(stopped).toBe(false);
  release.resolve();
  await stopping;
  expect(runs).toBe(1);
});

test('a job is announced again from its second interval on, the most urgent first, and only while it is ready', async () => {
  const config = configOf({ 'scheduler.announce_interval': 60 });
  const ledger = mesh.ledger(config);
  const rung: string[][] = [];
  const duty = reannounceDuty(ledger, { ring: async (ids) => void rung.push([...ids]) }, config);
  const { signal } = new AbortController();
  const look = async (): Promise<string[][]> => {
    rung.length = 0;
    await duty.run(signal);
    return rung;
  };
  expect(duty.everySeconds).toBe(60);
  const [low, high] = await mesh.add(ledger, { score: 0.1 }, { score: 0.9 });
  const [background] = await mesh.add(ledger, { level: 5 });
  mesh.clock.advance({ milliseconds: 59_999 });
  expect(await look()).toEqual([[], [], []]);
  mesh.clock.advance({ milliseconds: 1 });
  await mesh.add(ledger, {});
  expect(await look()).toEqual([[high, low], [background], []]);
  await mesh.run(ledger, 'w1', 1);
  expect((await look())[0]).toEqual([low]);
});
