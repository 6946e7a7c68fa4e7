/**
 * `npm run trial:cluster`: three database nodes (Galera), three broker nodes (NATS) and two of each service, under faults; and the same with one database and one broker.
 * `--rounds N` of each fault (10; 1 is the short form), `--rate N` logins a second (30), `--only TEXT` faults whose name contains it (several separated by commas),
 * `--nodes 3|1` one of the two alone, `--json` a JSON document in place of the table. Linux, as root: each node has a network namespace. Exit code 1 when a promise is
 * broken, 2 when it was called wrongly, 0 with a message where a program is missing.
 */
import { existsSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { type Column, table } from '../../../services/cli/output/table.ts';
import { messageOf } from '../../../services/platform/errors.ts';
import { findProgram } from '../../../services/platform/machine/programs.ts';
import { CASES } from './cases.ts';
import { PROVIDER } from './galera.ts';
import { type ClusterMesh, startClusterMesh } from './mesh.ts';
import { hasNetworks } from './network.ts';
import { type ClusterRow, runClusterCase } from './run-case.ts';

const COLUMNS: readonly Column<ClusterRow>[] = [
  { title: 'fault', value: (row) => row.fault },
  ...(
    [
      ['nodes', 'nodes'],
      ['rounds', 'rounds'],
      ['sent', 'sent'],
      ['acked', 'acknowledged'],
      ['committed', 'committed'],
      ['lost', 'lost'],
      ['answered', 'answered'],
      ['twice', 'answeredTwice'],
      ['jobs', 'jobs'],
      ['done twice', 'jobsTwice'],
      ['not done', 'jobsUndone'],
    ] as const
  ).map(([title, key]): Column<ClusterRow> => ({ title, align: 'right', value: (row) => row[key] })),
  { title: 'slowest login', align: 'right', value: ({ slowestSeconds }) => `${slowestSeconds.toFixed(1)} s` },
];

/** What the trial needs and this machine lacks. */
function missing(sizes: readonly number[]): string[] {
  return [
    ...(findProgram(['mariadbd', 'mysqld']) === undefined ? ['a MariaDB server (apt-get install mariadb-server-core)'] : []),
    ...(findProgram(['nats-server']) === undefined ? ['NATS (apt-get install nats-server)'] : []),
    ...(sizes.includes(3) && !existsSync(PROVIDER) ? [`Galera, ${PROVIDER} (apt-get install galera-4)`] : []),
    ...(sizes.includes(3) && (findProgram(['wsrep_sst_rsync']) === undefined || findProgram(['rsync']) === undefined)
      ? ['wsrep_sst_rsync in PATH, by which a node joins (apt-get install mariadb-server rsync)']
      : []),
    ...(hasNetworks() ? [] : ['the right to make network namespaces (root)']),
  ];
}

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '10' },
    rate: { type: 'string', default: '30' },
    only: { type: 'string', default: '' },
    nodes: { type: 'string', default: '3,1' },
    json: { type: 'boolean', default: false },
  },
});
const [rounds, perSecond] = [Number(values.rounds), Number(values.rate)];
const sizes = values.nodes.split(',').map(Number);
const wanted = values.only.split(',').map((text) => text.trim());
const chosen = CASES.filter(({ name }) => wanted.some((text) => name.includes(text)));
if (
  !Number.isInteger(rounds) ||
  rounds < 1 ||
  !(perSecond >= 1) ||
  chosen.length === 0 ||
  !sizes.every((size) => size === 1 || size === 3)
) {
  process.stderr.write(
    `trial:cluster: --rounds and --rate take a number from 1 on, --nodes 3, 1 or 3,1, --only a part of a name of this list:\n${CASES.map(({ name }) => `  ${name}\n`).join('')}`,
  );
  process.exit(2);
}
const lacks = missing(sizes);
if (lacks.length > 0) {
  process.stderr.write(`trial:cluster is left out, this machine lacks:\n${lacks.map((one) => `  ${one}\n`).join('')}`);
  process.exit(0);
}

const rows: ClusterRow[] = [];
const failures: string[] = [];
let mesh: Promise<ClusterMesh> | undefined;
let interrupted = false;
const tell = (line: string): void => void process.stderr.write(`${line}\n`);

function printRows(): void {
  if (values.json) process.stdout.write(`${JSON.stringify({ faults: rows, failures }, null, 2)}\n`);
  else process.stdout.write(`\n${table(rows, COLUMNS)}${failures.map((failure) => `\nFAILED ${failure}`).join('')}\n`);
}

async function stopMesh(): Promise<void> {
  const running = mesh;
  mesh = undefined;
  await (await running?.catch(() => undefined))?.stop();
}

function endEarly(exitCode: number, why: string): void {
  if (interrupted) return;
  interrupted = true;
  // Hooks and databases complain when what they speak to is stopped; the rest must still be stopped.
  process.on('unhandledRejection', () => {});
  tell(`${why}: stopping everything`);
  void stopMesh().finally(() => {
    printRows();
    process.exit(exitCode);
  });
}
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => endEarly(130, signal));
process.on('uncaughtException', (error) => endEarly(1, error.stack ?? error.message));

for (const size of sizes) {
  let number = 0;
  for (const one of chosen.filter(({ cluster }) => size > 1 || !cluster)) {
    if (interrupted) break;
    try {
      mesh ??= startClusterMesh(size as 1 | 3);
      const row = await runClusterCase(await mesh, one, { id: `n${size}c${number++}`, rounds, perSecond, tell });
      rows.push(row);
      if (row.broken !== undefined) failures.push(`${one.name}, ${size} of each: ${row.broken}`);
    } catch (error) {
      if (interrupted) break;
      failures.push(`${one.name}, ${size} of each: ${messageOf(error)}`);
      // A node that did not come back would spoil the faults that follow.
      await stopMesh();
    }
  }
  if (!interrupted) await stopMesh();
}
if (!interrupted) {
  printRows();
  process.exitCode = failures.length > 0 ? 1 : 0;
}
