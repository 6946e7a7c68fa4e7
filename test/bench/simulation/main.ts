/**
 * `npm run simulate:check`: 1,000 users of a day that is pressed into three minutes, at a real mesh and in the simulation, side by side. `--users`, `--symbols`, `--holdings`,
 * `--seconds`, `--fresh` (seconds), `--workers`, `--seed`, `--json FILE`. `--sizes` adds bytes a row and messages, which docs/sizing.md goes by.
 * Ends with 1 when the two differ by more than the tolerances.
 */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { messageOf } from '../../../services/platform/errors.ts';
import { stopAll } from '../processes/servers.ts';
import { figure, print, progress, table } from '../report/report.ts';
import { compare } from './compare.ts';
import { type DayPlan, realDay } from './real-day.ts';

const { values } = parseArgs({
  options: {
    users: { type: 'string', default: '1000' },
    symbols: { type: 'string', default: '500' },
    holdings: { type: 'string', default: '12' },
    seconds: { type: 'string', default: '180' },
    fresh: { type: 'string', default: '20' },
    workers: { type: 'string', default: '2' },
    'warm-up': { type: 'string', default: '30' },
    seed: { type: 'string', default: '1' },
    json: { type: 'string' },
    sizes: { type: 'boolean', default: false },
  },
});
const positive = (name: 'users' | 'symbols' | 'holdings' | 'seconds' | 'fresh' | 'workers'): number => {
  const value = Number(values[name]);
  if (value > 0) return value;
  process.stderr.write(`simulate:check: --${name} takes a number above 0, not "${values[name]}"\n`);
  process.exit(2);
};
const [users, symbols, holdings, seconds, fresh, workers] = [
  positive('users'),
  positive('symbols'),
  positive('holdings'),
  positive('seconds'),
  positive('fresh'),
  positive('workers'),
];
const plan: DayPlan = {
  users,
  symbols,
  holdings,
  seconds,
  workers,
  freshSeconds: fresh,
  seed: values.seed,
  warmUpSeconds: Number(values['warm-up']),
  idleSeconds: 5,
};

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void stopAll().finally(() => process.exit(130)));

try {
  progress('a day of logins at the real mesh');
  const real = await realDay('mesh', plan);
  progress('');
  const rows = compare(real, plan);
  print(
    `\n${figure(users)} users, ${holdings} symbols each of ${figure(symbols)}, a day in ${seconds} s, fresh for ${fresh} s, ${workers} workers, ${figure((real.endMs - real.startMs) / 1000)} s in all\n`,
  );
  print(
    table(
      ['', 'real', 'simulated', 'may differ by', ''],
      rows.map(({ what, real: own, simulated, times, or, met }) => [
        what,
        figure(own),
        figure(simulated),
        `${times} times or ${or}`,
        met ? 'met' : 'NOT MET',
      ]),
    ),
  );
  const spent = Object.entries(real.processor).map(([name, ms]) => `${name} ${figure(ms)}`);
  print(
    `  Processor milliseconds: ${spent.join(', ')}; jobs that did not complete: ${real.lost}. Others made everything take ${figure(real.slowdown)} times as long; without work ${figure(real.idleMsPerSecond)} ms a second.`,
  );
  if (values.sizes) {
    const bars = real.tables.find(({ name }) => name === 'bars')?.rows ?? 0;
    print(
      `\n  Stored ${figure(bars)} bars in ${figure(real.storedMs)} ms of the database's processor time: ${figure((bars / real.storedMs) * 1000)} a second.`,
    );
    print(
      `\n${table(
        ['table', 'rows', 'bytes', 'bytes a row'],
        real.tables.map(({ name, rows: count, bytes }) => [name, count, bytes, bytes / count]),
      )}`,
    );
    print(
      `  Messages that a monitor received: ${Object.entries(real.messages)
        .map(([name, count]) => `${name} ${figure(count)}`)
        .join(', ')}.`,
    );
  }
  if (values.json !== undefined) {
    const { population: _, states: __, logins, ...figures } = real;
    writeFileSync(values.json, `${JSON.stringify({ plan, rows, ...figures, logins: logins.length }, null, 2)}\n`);
  }
  if (rows.some(({ met }) => !met)) process.exitCode = 1;
} catch (error) {
  process.stderr.write(`simulate:check: ${error instanceof Error && error.stack !== undefined ? error.stack : messageOf(error)}\n`);
  process.exitCode = 1;
} finally {
  await stopAll();
}
