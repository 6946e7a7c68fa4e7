/**
 * `npm run faults`: are acknowledged logins kept? Ends services, brokers and `stockmesh up` under load and counts, login by login, what was acknowledged and what
 * stands in the database. `--rounds N` (20), `--only TEXT` cases whose name contains it (several separated by commas), `--rate N` logins a second (100), `--json`
 * a JSON document in place of the table. Exit code 1 when something that is promised is lost, 2 when it was called wrongly.
 */
import { parseArgs } from 'node:util';
import { findMosquitto } from '../../../broker/mosquitto.ts';
import { type Column, table } from '../../../services/cli/output/table.ts';
import { messageOf } from '../../../services/platform/errors.ts';
import { CASES } from './cases.ts';
import { openGround } from './mesh.ts';
import { brokenPromise, type CaseResult, type Cleanup, LIMITS, runCase } from './run-case.ts';

const COLUMNS: readonly Column<CaseResult>[] = [
  { title: 'case', value: (row) => row.case },
  { title: 'promised', value: (row) => (row.promised ? 'yes' : 'no') },
  ...(
    [
      ['rounds', 'rounds'],
      ['sent', 'sent'],
      ['acknowledged', 'acknowledged'],
      ['committed', 'committed'],
      ['lost', 'lost'],
      ['answered twice', 'answeredTwice'],
      ['jobs', 'jobs'],
      ['twice', 'jobsTwice'],
      ['undone', 'jobsUndone'],
    ] as const
  ).map(([title, key]): Column<CaseResult> => ({ title, align: 'right', value: (row) => row[key] })),
  { title: 'longest gap', align: 'right', value: ({ longestMs }) => `${(longestMs / 1000).toFixed(1)} s` },
];

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: String(LIMITS.rounds) },
    rate: { type: 'string', default: String(LIMITS.perSecond) },
    only: { type: 'string', default: '' },
    json: { type: 'boolean', default: false },
  },
});
const [rounds, perSecond] = [Number(values.rounds), Number(values.rate)];
const wanted = values.only.split(',').map((text) => text.trim());
const chosen = CASES.filter(({ name }) => wanted.some((text) => name.includes(text)));
if (!Number.isInteger(rounds) || rounds < 1 || !(perSecond >= 1) || chosen.length === 0) {
  process.stderr.write(
    `faults: --rounds and --rate take a number from 1 on, --only a part of a name of this list:\n${CASES.map(({ name }) => `  ${name}\n`).join('')}`,
  );
  process.exit(2);
}
const cases = chosen.filter(({ broker }) => broker !== 'mosquitto' || findMosquitto() !== undefined);
if (cases.length < chosen.length)
  process.stderr.write(`${chosen.length - cases.length} cases left out: Mosquitto is not installed (apt-get install mosquitto)\n`);

const cleanup: Cleanup = new Set();
const results: CaseResult[] = [];
const failures: string[] = [];
let interrupted = false;
function endEarly(exitCode: number, why: string): void {
  if (interrupted) return;
  interrupted = true;
  // Hooks and databases complain when what they speak to is stopped; the rest must still be stopped.
  process.on('unhandledRejection', () => {});
  process.stderr.write(`\n${why}: stopping everything\n`);
  void stopAll().finally(() => {
    printResults();
    process.exit(exitCode);
  });
}
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => endEarly(130, signal));
process.on('uncaughtException', (error) => endEarly(1, error.stack ?? error.message));

async function stopAll(): Promise<void> {
  for (const stop of [...cleanup].reverse()) await stop();
}

function printResults(): void {
  if (values.json) process.stdout.write(`${JSON.stringify({ cases: results, failures }, null, 2)}\n`);
  else process.stdout.write(`\n${table(results, COLUMNS)}${failures.map((failure) => `\nFAILED ${failure}`).join('')}\n`);
}

const ground = await openGround();
cleanup.add(ground.stop);
for (const [index, faultCase] of cases.entries()) {
  if (interrupted) break;
  const started = performance.now();
  try {
    const result = await runCase(faultCase, `f${index}`, ground, { ...LIMITS, rounds, perSecond }, cleanup);
    results.push(result);
    const broken = brokenPromise(result);
    if (broken !== undefined) failures.push(`${faultCase.name}: ${broken}`);
    const seconds = ((performance.now() - started) / 1000).toFixed(0);
    process.stderr.write(`${index + 1}/${cases.length} ${faultCase.name}: ${result.lost} of ${result.acknowledged} lost, ${seconds} s\n`);
  } catch (error) {
    if (!interrupted) failures.push(`${faultCase.name}: ${messageOf(error)}`);
  }
}
if (!interrupted) {
  await stopAll();
  printResults();
  process.exitCode = failures.length > 0 ? 1 : 0;
}
