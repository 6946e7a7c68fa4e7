/**
 * `npm run bench`: this ledger beside BullMQ and Graphile Worker on the same machine in the same run, how its cost grows, and the main job from login to fresh data.
 * `--only a,c` some sections, `--quick` small sizes, `--rounds N`, `--json FILE`, `--workers N` and `--set key=value` for the main job.
 */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { messageOf } from '../../services/platform/errors.ts';
import { stopAll } from './processes/servers.ts';
import { type Bench, createBench } from './report/bench.ts';
import { print } from './report/report.ts';

const SECTIONS: Record<string, { about: string; load: () => Promise<(bench: Bench) => Promise<unknown>> }> = {
  a: { about: 'durable enqueue', load: async () => (await import('./enqueue.ts')).enqueueSection },
  b: { about: 'claim and complete', load: async () => (await import('./claim-complete.ts')).claimCompleteSection },
  c: { about: 'from enqueue to start', load: async () => (await import('./latency.ts')).latencySection },
  d: { about: 'growth with the number of waiting jobs', load: async () => (await import('./growth/growth.ts')).growthSection },
  e: { about: 'memory of a worker', load: async () => (await import('./memory.ts')).memorySection },
  f: { about: 'the main job', load: async () => (await import('./main-job.ts')).mainJobSection },
  'main-job-peers': {
    about: 'the main job against what a user would build instead',
    load: async () => (await import('./main-job/section.ts')).mainJobPeersSection,
  },
  g: { about: 'ranking a chain', load: async () => (await import('./ranking.ts')).rankingSection },
  h: { about: 'rankings over HTTP', load: async () => (await import('./gateway.ts')).gatewaySection },
  i: { about: 'logins beside a flood', load: async () => (await import('./flood/beside.ts')).floodSection },
  flood: { about: '10,000 logins at once', load: async () => (await import('./flood/logins.ts')).loginFloodSection },
  'history-year': { about: 'a year of quotes as a job', load: async () => (await import('./history-year.ts')).historyYearSection },
  'history-request': { about: 'asking for ten years', load: async () => (await import('./history-request.ts')).historyRequestSection },
  history: { about: 'historical files', load: async () => (await import('./history.ts')).historySection },
  page: { about: 'the dashboard in a browser', load: async () => (await import('./page/page.ts')).pageSection },
  traces: { about: 'what traces cost', load: async () => (await import('./traces.ts')).tracesSection },
  picks: { about: 'weekly picks', load: async () => (await import('./picks.ts')).picksSection },
};

const { values } = parseArgs({
  options: {
    only: { type: 'string', default: Object.keys(SECTIONS).join(',') },
    quick: { type: 'boolean', default: false },
    rounds: { type: 'string' },
    json: { type: 'string' },
    workers: { type: 'string', default: '2' },
    set: { type: 'string', multiple: true, default: [] },
  },
});
const only = values.only.split(',');
const unknown = only.find((name) => SECTIONS[name] === undefined);
const rounds = Number(values.rounds ?? (values.quick ? 1 : 5));
const workers = Number(values.workers);
if (unknown !== undefined || !(rounds >= 1) || !(workers >= 1)) {
  const list = Object.entries(SECTIONS).map(([name, { about }]) => `  ${name}  ${about}`);
  process.stderr.write(`bench: --only takes sections of this list, --rounds and --workers a number from 1 on:\n${list.join('\n')}\n`);
  process.exit(2);
}

let interrupted = false;
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.on(signal, () => {
    if (interrupted) return;
    interrupted = true;
    // Clients of servers that go away one after the other complain; the last server must still be stopped.
    for (const complaint of ['uncaughtException', 'unhandledRejection']) process.on(complaint, () => {});
    process.stderr.write('\nstopping the servers\n');
    void stopAll().finally(() => process.exit(130));
  });

const bench = createBench({ quick: values.quick, rounds, workers, set: values.set });
const measurements: Record<string, unknown> = { at: new Date().toISOString(), quick: values.quick, rounds };
try {
  for (const name of only) {
    const section = await SECTIONS[name]?.load();
    measurements[name] = await section?.(bench);
  }
  if (values.json !== undefined) {
    writeFileSync(values.json, `${JSON.stringify(measurements, null, 2)}\n`);
    print(`\nfigures written to ${values.json}`);
  }
} catch (error) {
  if (!interrupted) {
    process.stderr.write(`bench: ${error instanceof Error && error.stack !== undefined ? error.stack : messageOf(error)}\n`);
    process.exitCode = 1;
  }
} finally {
  if (!interrupted) await stopAll();
}
