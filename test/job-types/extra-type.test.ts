import { connectAsync } from 'mqtt';
import { pino } from 'pino';
import { afterAll, expect, test } from 'vitest';
import { z } from 'zod';
import { loadAccess } from '../../broker/access.ts';
import { startBroker } from '../../broker/embedded.ts';
import { commandLine } from '../../services/cli/program.ts';
import { jobBodies } from '../../services/gateway/routes/job-bodies.ts';
import { handler } from '../../services/job-types/handler.ts';
import { JOB_TYPES, type ListedType, listedNames, loadHandlers, namesOf } from '../../services/job-types/index.ts';
import { httpForm } from '../../services/job-types/job-type.ts';
import { ledgerOf } from '../../services/job-types/ledger.ts';
import { requestFor } from '../../services/job-types/request.ts';
import { createAnnouncer } from '../../services/ledger/announce.ts';
import { enqueue } from '../../services/ledger/enqueue/enqueue.ts';
import { submit } from '../../services/ledger/enqueue/submit.ts';
import { rulesOf } from '../../services/ledger/job.ts';
import { SymbolSchema } from '../../services/market/symbol.ts';
import { asyncapi } from '../../services/platform/asyncapi.ts';
import { connectBus } from '../../services/platform/bus/bus.ts';
import { systemClock } from '../../services/platform/clock.ts';
import { loadConfig } from '../../services/platform/config/load.ts';
import { openDatabase } from '../../services/platform/database/database.ts';
import { startWorker } from '../../services/worker/worker.ts';
import { accounts, silent } from '../broker/peers.ts';
import { testDatabase } from '../support/database.ts';
import { failoverOf } from '../worker/workshop.ts';

const Payload = z.strictObject({ symbol: SymbolSchema, text: z.string() });

/** A type that the product does not have, as its folder and its line in the index would be. */
const echo: ListedType = {
  name: 'echo',
  earlierNames: ['stock_echo'],
  about: 'Gives its text back',
  payload: Payload,
  dataKinds: ['echoes'],
  retries: 'general',
  timeLimit: () => 7,
  mayCompleteWithErrors: false,
  logComponent: 'analyzer',
  shownResult: [],
  http: httpForm({
    fields: { symbol: SymbolSchema, text: z.string() },
    requests: ({ symbol, text }, { origin }) => [
      requestFor(origin, { type: 'echo', symbol, payload: { symbol, text }, dedupeKey: `echo:${symbol}` }),
    ],
  }),
  cli: {
    verb: 'echo',
    argument: '<symbol>',
    about: 'give a text back',
    options: [{ flags: '--text <text>', about: 'which', required: true }],
    requests: () => ({ make: () => [] }),
  },
  handler: async () =>
    handler(
      { ...echo, payload: Payload },
      async ({ symbol, text }) => ({
        rows: [],
        result: { text },
        dataMessages: [{ symbol, kind: 'echoes', source: 'test', as_of: '2026-01-02T14:30:00Z' }],
      }),
      async () => undefined,
    ),
};
const types = [...JOB_TYPES, echo];
const config = loadConfig({ env: {}, jobTypes: namesOf(types) }).config;

test('an added type has its retries, its time limit and its topics', () => {
  const rules = rulesOf(ledgerOf({} as never, systemClock, config, types), 'echo');
  expect(rules).toEqual({ maxAttempts: 4, backoffSeconds: [60], timeoutSeconds: 7, mayCompleteWithErrors: false });
  expect(asyncapi(listedNames(types)).match(/- echo\b/g)).toHaveLength(4);
  expect(asyncapi(listedNames(types))).toContain('- echoes');
});

test('an added type may be named in worker.supported_job_types, by an earlier name too', () => {
  const overrides = { 'worker.supported_job_types': { value: 'stock_echo,echo', option: '--set' } };
  expect(loadConfig({ env: {}, jobTypes: namesOf(types), overrides }).config.worker.supported_job_types).toEqual(['echo']);
  expect(() => loadConfig({ env: {}, jobTypes: namesOf(), overrides })).toThrow(/must be one of fetch, .*, got "stock_echo"/);
});

test('an added type has its command, and is a choice of the commands that filter by type', () => {
  const program = commandLine(() => {}, types);
  const named = (name: string) => program.commands.find((command) => command.name() === name);
  expect(named('echo')?.helpInformation()).toMatch(/--wait .*--text <text>/s);
  for (const command of ['jobs', 'redrive'])
    expect(named(command)?.options.find(({ long }) => long === '--type')?.argChoices).toContain('echo');
});

test('an added type is requested over HTTP, announced on its topic, run and logged by the worker, and published', async () => {
  const database = await testDatabase();
  const db = openDatabase(database.options);
  const broker = await startBroker({ port: 0, accounts, access: loadAccess(), log: silent });
  const address = { port: broker.port, username: 'service', password: accounts.service!.password };
  const bus = connectBus({ ...address, service: 'test', instance: 'test-1', version: '0.1.0', log: silent });
  const monitor = await connectAsync({ ...address, host: '127.0.0.1' });
  afterAll(async () => {
    await monitor.endAsync(true);
    await bus.close();
    await db.close();
    await broker.close();
    await database.drop();
  });
  const seen: string[] = [];
  monitor.on('message', (topic) => seen.push(topic));
  await monitor.subscribeAsync('#');
  await bus.online();

  const { schema, requestsOf } = jobBodies(types);
  expect(schema.safeParse({ type: 'echo', symbol: 'AAPL' }).success).toBe(false);
  const requests = await requestsOf(schema.parse({ type: 'echo', symbol: 'aapl', text: 'hello' }), { config, clock: systemClock, db });
  const ledger = ledgerOf(db, systemClock, config, types);
  const announcer = createAnnouncer({ bus, sql: db, clock: systemClock, log: silent });
  const { accepted } = await submit(requests, async (all) => {
    const answers = await enqueue(ledger, all);
    await announcer.enqueued(answers);
    return answers;
  });
  expect(accepted).toMatchObject([{ outcome: 'queued', answer: { type: 'echo', symbol: 'AAPL' } }]);

  const sources = failoverOf([], systemClock);
  const lines: string[] = [];
  const log = pino({}, { write: (line) => void lines.push(line) });
  const worker = startWorker({
    ...{ workerId: 'worker-1', ledger, bus, announcer, config, log },
    ...{ sources, realSources: sources, reader: undefined as never },
    handlers: await loadHandlers(
      { sql: db, db, chains: undefined as never, history: undefined as never, research: undefined as never },
      types,
    ),
  });
  await expect.poll(() => seen, { timeout: 10_000, interval: 5 }).toEqual(expect.arrayContaining(['stock/echo/AAPL', 'data/AAPL/echoes']));
  await worker.drain(5_000);
  expect(lines.map((line) => JSON.parse(line))).toContainEqual(expect.objectContaining({ component: 'analyzer', msg: 'echo completed' }));
  const rows = await db.rows("SELECT state, JSON_UNQUOTE(JSON_EXTRACT(result, '$.text')) AS text FROM ended");
  expect(rows).toEqual([{ state: 'completed', text: 'hello' }]);
});
