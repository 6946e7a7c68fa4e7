/**
 * `npm run faults`: is anything lost, doubled or failed when clocks are wrong, workers die, the database goes away, and services, brokers and `stockmesh up` end under
 * load? Counts in the database. `--rounds N` of each fault (10), `--only TEXT` faults whose name contains it (several separated by commas), `--rate N` logins a second
 * (100), `--users N` and `--workers N` of a round of paid reports (24 users, 3 worker processes), `--json` a JSON document in place of the table. Exit code 1 when a promise is broken, 2 when it was called wrongly.
 */
import { parseArgs } from 'node:util';
import { findMosquitto } from '../../broker/mosquitto.ts';
import { type Column, table } from '../../services/cli/output/table.ts';
import { messageOf } from '../../services/platform/errors.ts';
import { type FaultRow, GROUPS, READERS } from './groups.ts';
import { LIMITS } from './logins/run-case.ts';
import { PICKERS } from './picks/ground.ts';

const COLUMNS: readonly Column<FaultRow>[] = [
  { title: 'fault', value: (row) => row.fault },
  { title: 'promised', value: (row) => (row.promised ? 'yes' : 'no') },
  ...(
    [
      ['rounds', 'rounds'],
      ['sent', 'sent'],
      ['lost', 'lost'],
      ['doubled', 'doubled'],
      ['failed though healthy', 'failed'],
    ] as const
  ).map(([title, key]): Column<FaultRow> => ({ title, align: 'right', value: (row) => row[key] })),
  { title: 'slowest recovery', align: 'right', value: ({ slowestSeconds }) => `${slowestSeconds.toFixed(1)} s` },
];

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '10' },
    rate: { type: 'string', default: String(LIMITS.perSecond) },
    only: { type: 'string', default: '' },
    users: { type: 'string', default: String(READERS) },
    workers: { type: 'string', default: String(PICKERS) },
    json: { type: 'boolean', default: false },
  },
});
const [rounds, perSecond, users, processes] = [values.rounds, values.rate, values.users, values.workers].map(Number) as [
  number,
  number,
  number,
  number,
];
const wanted = values.only.split(',').map((text) => text.trim());
const isWanted = (name: string): boolean => wanted.some((text) => name.includes(text));
const isRunnable = (name: string): boolean => !name.startsWith('mosquitto') || findMosquitto() !== undefined;
const all = GROUPS.flatMap(({ names }) => names);
const chosen = all.filter(isWanted).filter(isRunnable);
const whole = [rounds, users, processes].every((count) => Number.isInteger(count) && count >= 1);
if (!whole || !(perSecond >= 1) || !all.some(isWanted)) {
  process.stderr.write(
    `faults: --rounds, --rate, --users and --workers take a number from 1 on, --only a part of a name of this list:\n${all.map((name) => `  ${name}\n`).join('')}`,
  );
  process.exit(2);
}
const left = all.filter(isWanted).length - chosen.length;
if (left > 0) process.stderr.write(`${left} faults left out: Mosquitto is not installed (apt-get install mosquitto)\n`);

const cleanup = new Set<() => Promise<void>>();
const rows: FaultRow[] = [];
const failures: string[] = [];
let interrupted = false;
function endEarly(exitCode: number, why: string): void {
  if (interrupted) return;
  interrupted = true;
  // Hooks and databases complain when what they speak to is stopped; the rest must still be stopped.
  process.on('unhandledRejection', () => {});
  process.stderr.write(`\n${why}: stopping everything\n`);
  void stopAll().finally(() => {
    printRows();
    process.exit(exitCode);
  });
}
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => endEarly(130, signal));
process.on('uncaughtException', (error) => endEarly(1, error.stack ?? error.message));

async function stopAll(): Promise<void> {
  for (const stop of [...cleanup].reverse()) await stop();
  cleanup.clear();
}

function printRows(): void {
  if (values.json) process.stdout.write(`${JSON.stringify({ faults: rows, failures }, null, 2)}\n`);
  else process.stdout.write(`\n${table(rows, COLUMNS)}${failures.map((failure) => `\nFAILED ${failure}`).join('')}\n`);
}

for (const group of GROUPS) {
  const names = group.names.filter((name) => chosen.includes(name));
  if (names.length === 0 || interrupted) continue;
  const mesh = await group.open({ processes });
  cleanup.add(mesh.close);
  for (const name of names) {
    if (interrupted) break;
    const started = performance.now();
    try {
      const row = await mesh.run(name, { rounds, perSecond, users, cleanup });
      rows.push(row);
      if (row.broken !== undefined) failures.push(`${name}: ${row.broken}`);
      const seconds = ((performance.now() - started) / 1000).toFixed(0);
      process.stderr.write(`${chosen.indexOf(name) + 1}/${chosen.length} ${name}: ${row.lost} of ${row.sent} lost, ${seconds} s\n`);
    } catch (error) {
      if (!interrupted) failures.push(`${name}: ${messageOf(error)}`);
    }
  }
  if (!interrupted) await stopAll();
}
if (!interrupted) {
  printRows();
  process.exitCode = failures.length > 0 ? 1 : 0;
}
