/**
 * `npm run fuzz`: gives every edge inputs that are right, nearly right and wrong, and judges each answer. `--only TEXT` targets whose name contains it (several separated
 * by commas), `--seconds N` for all together (900), `--inputs N` in all (more than a million), `--seed N` (1), `--from N` the first input of the seed, `--json` a JSON document in
 * place of the table. A fault is printed with its seed, its number and the smallest input that fails: `--only TARGET --seed S --from N --inputs 1` repeats it. Exit code 1
 * when there is one, 2 when it was called wrongly.
 */
import { parseArgs } from 'node:util';
import { type Column, table } from '../../services/cli/output/table.ts';
import { messageOf } from '../../services/platform/errors.ts';
import { type Fault, type Row, runTarget } from './run.ts';
import { createServers } from './servers.ts';
import { TARGETS } from './targets/all.ts';

const COLUMNS: readonly Column<Row>[] = [
  { title: 'target', value: (row) => row.target },
  ...(['inputs', 'accepted', 'refused', 'faults'] as const).map(
    (key): Column<Row> => ({ title: key, align: 'right', value: (row) => row[key].toLocaleString('en') }),
  ),
  { title: 'seed', align: 'right', value: ({ seed }) => String(seed) },
  { title: 'seconds', align: 'right', value: ({ seconds }) => seconds.toFixed(1) },
  { title: 'longest', align: 'right', value: ({ longestMs }) => `${longestMs.toFixed(0)} ms` },
  { title: 'memory', align: 'right', value: ({ heap }) => `${heap.join(' → ')} MiB` },
];

const { values } = parseArgs({
  options: {
    only: { type: 'string', default: '' },
    seconds: { type: 'string', default: '900' },
    inputs: { type: 'string', default: String(TARGETS.reduce((sum, { inputs }) => sum + inputs, 0)) },
    seed: { type: 'string', default: '1' },
    from: { type: 'string', default: '0' },
    json: { type: 'boolean', default: false },
  },
});
const [seconds, inputs, seed, from] = [values.seconds, values.inputs, values.seed, values.from].map(Number) as [
  number,
  number,
  number,
  number,
];
const chosen = TARGETS.filter(({ name }) => values.only.split(',').some((text) => name.includes(text.trim())));
if (chosen.length === 0 || !(seconds > 0) || !(inputs >= 1) || ![seed, from].every(Number.isSafeInteger)) {
  process.stderr.write(
    `fuzz: --seconds and --inputs take a number above 0, --seed and --from a whole number, --only a part of a name of this list:\n${TARGETS.map(({ name }) => `  ${name}\n`).join('')}`,
  );
  process.exit(2);
}

const rows: Row[] = [];
const faults: Fault[] = [];
let running = '';
// Whatever reaches this would have ended a service.
for (const event of ['uncaughtException', 'unhandledRejection'] as const)
  process.on(event, (error: unknown) => {
    const message = `${event}: ${error instanceof Error ? (error.stack ?? error.message) : messageOf(error)}`;
    if (faults.length < 100) faults.push({ target: running, seed, index: -1, message, input: '' });
  });

const servers = createServers();
let interrupted = false;
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.on(signal, () => {
    if (interrupted) return;
    interrupted = true;
    void servers.close().finally(() => process.exit(130));
  });

const share = (key: 'inputs' | 'seconds', one: (typeof TARGETS)[number]): number =>
  one[key] / chosen.reduce((sum, other) => sum + other[key], 0);
try {
  for (const target of chosen) {
    running = target.name;
    const row = await runTarget(target, {
      ...{ seed, from, servers },
      inputs: Math.max(1, Math.round(inputs * share('inputs', target))),
      seconds: seconds * share('seconds', target),
      onFault: (fault) => faults.push(fault),
    });
    rows.push({ ...row, faults: faults.filter((fault) => fault.target === target.name).length });
    process.stderr.write(`${target.name}: ${row.inputs.toLocaleString('en')} inputs in ${row.seconds.toFixed(1)} s\n`);
  }
} finally {
  if (!interrupted) await servers.close();
}
const total = rows.reduce((sum, row) => sum + row.inputs, 0);
if (values.json) process.stdout.write(`${JSON.stringify({ inputs: total, targets: rows, faults }, null, 2)}\n`);
else
  process.stdout.write(
    `\n${table(rows, COLUMNS)}${faults.map(({ target, index, message, input }) => `\nFAULT ${target}, seed ${seed}, input ${index}: ${message}\n  ${input.slice(0, 2_000)}\n`).join('')}\n${total.toLocaleString('en')} inputs, ${faults.length} faults\n`,
  );
process.exitCode = faults.length > 0 ? 1 : 0;
