/** The process that runs DuckDB, and what is left when it ends at any moment. */
import { execFileSync, fork } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, test, vi } from 'vitest';
import type { Converter } from '../../../services/history/parquet/convert.ts';
import { createConverter } from '../../../services/history/parquet/converter.ts';
import { createReader } from '../../../services/history/parquet/reader.ts';
import { TransientError } from '../../../services/platform/errors.ts';
import { isLong } from '../../support/long.ts';
import { processesIn } from './processes.ts';
import { quotesText, randomNumbers } from './quotes.ts';
import { DAY, openWorkshop } from './workshop.ts';

// The process gives way to all others, so a busy machine keeps it waiting.
vi.setConfig({ testTimeout: 120_000 });
const shop = openWorkshop();
const never = new AbortController().signal;
const csv = shop.file(quotesText({ day: DAY, contracts: 200, rows: 200 }));

let opened = 0;
const converters: Converter[] = [];
/** A converter with a folder of its own. */
function open(overrides: Partial<Parameters<typeof createConverter>[0]> = {}) {
  const options = { ...shop.options, tempFolder: join(shop.folder, `temporary-${opened++}`), ...overrides };
  const converter = createConverter(options);
  converters.push(converter);
  return { converter, tempFolder: options.tempFolder, options };
}
afterEach(async () => {
  for (const converter of converters.splice(0)) await converter.close();
});

/** Waits for the process to be at work. */
async function working(tempFolder: string): Promise<number> {
  const inFolder = (): string[] =>
    existsSync(tempFolder) ? readdirSync(tempFolder).flatMap((name) => readdirSync(join(tempFolder, name))) : [];
  await expect.poll(() => [processesIn(tempFolder).length, inFolder().includes('in-0.csv')], { interval: 1 }).toEqual([1, true]);
  return processesIn(tempFolder)[0]!;
}

test('killed at random moments, it never leaves a file that is not whole', async () => {
  const { sha256 } = await shop.convert([csv]);
  const random = randomNumbers(7);
  const { converter, tempFolder } = open();
  await converter.convert(shop.conversion([csv]), never);
  let began = performance.now();
  await converter.convert(shop.conversion([csv]), never);
  const duration = performance.now() - began;
  const outcomes = { whole: 0, none: 0 };
  const rounds = isLong ? 20 : 10;
  for (let round = 0; round < rounds; round++) {
    const conversion = shop.conversion([csv]);
    began = performance.now();
    const result = converter.convert(conversion, never).catch((error: unknown) => error);
    const pid = round % 2 === 0 ? await working(tempFolder) : (processesIn(tempFolder)[0] ?? (await working(tempFolder)));
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, random() * duration - (performance.now() - began))));
    process.kill(pid, 'SIGKILL');
    const ended = await result;
    if (ended instanceof TransientError) {
      expect(ended).toMatchObject({ code: 'history.converter', message: expect.stringContaining('its process was ended by SIGKILL') });
      expect([existsSync(conversion.out), existsSync(`${conversion.out}.part`)]).toEqual([false, false]);
      outcomes.none++;
    } else {
      expect(ended).toMatchObject({ sha256 });
      expect(await shop.reader.verify(conversion.out)).toMatchObject({ sha256, rows: 40_000 });
      outcomes.whole++;
    }
    await expect.poll(() => processesIn(tempFolder)).not.toContain(pid);
  }
  expect(outcomes.whole + outcomes.none).toBe(rounds);
  expect((await converter.convert(shop.conversion([csv]), never)).sha256).toBe(sha256);
  await converter.close();
  expect(readdirSync(tempFolder)).toEqual([]);
}, 120_000);

test('a conversion that is aborted ends with its reason, its process and its files', async () => {
  const { converter, tempFolder } = open();
  const conversion = shop.conversion([csv]);
  const stop = new AbortController();
  const result = converter.convert(conversion, stop.signal).catch((error: unknown) => error);
  const pid = await working(tempFolder);
  const reason = new Error('cancelled');
  stop.abort(reason);
  expect(await result).toBe(reason);
  expect(existsSync(`/proc/${pid}`)).toBe(false);
  expect([existsSync(conversion.out), existsSync(`${conversion.out}.part`), readdirSync(tempFolder)]).toEqual([false, false, []]);
  expect(await converter.convert(conversion, never)).toMatchObject({ rows: 40_000 });
});

test('a conversion that is aborted while it waits does not wait, and does not disturb the one at work', async () => {
  const { converter } = open();
  const first = converter.convert(shop.conversion([csv]), never);
  const stop = new AbortController();
  const order: string[] = [];
  const second = converter.convert(shop.conversion([csv]), stop.signal).catch(() => order.push('aborted'));
  const third = converter.convert(shop.conversion([csv]), never);
  stop.abort(new Error('cancelled'));
  await Promise.all([first.then(() => order.push('first')), second]);
  expect(order).toEqual(['aborted', 'first']);
  expect(await third).toMatchObject({ rows: 40_000 });
});

test('closing ends the work that is under way', async () => {
  const { converter, tempFolder } = open();
  const result = converter.convert(shop.conversion([csv]), never).catch((error: unknown) => error);
  await working(tempFolder);
  await converter.close();
  expect(await result).toMatchObject({ code: 'history.converter' });
  expect([processesIn(tempFolder), readdirSync(tempFolder)]).toEqual([[], []]);
  await expect(converter.convert(shop.conversion([csv]), never)).rejects.toThrow('shutting down');
});

test('it ends when it is not needed for a while, and another one does the next work', async () => {
  const { converter, tempFolder } = open({ idleMs: 1 });
  await converter.convert(shop.conversion([csv]), never);
  await expect.poll(() => [processesIn(tempFolder), readdirSync(tempFolder)]).toEqual([[], []]);
  expect(await converter.convert(shop.conversion([csv]), never)).toMatchObject({ rows: 40_000 });
});

test('it ends with the process that started it, whose folder the next one removes', async () => {
  const { converter, tempFolder, options } = open();
  const conversion = shop.conversion([csv]);
  const parent = fork(fileURLToPath(new URL('./converting-process.ts', import.meta.url)), [
    JSON.stringify({ ...options, log: undefined }),
    JSON.stringify(conversion),
  ]);
  await once(parent, 'message');
  await working(tempFolder);
  const pid = processesIn(tempFolder).find((each) => each !== parent.pid)!;
  parent.kill('SIGKILL');
  await once(parent, 'exit');
  await expect.poll(() => existsSync(`/proc/${pid}`)).toBe(false);
  expect(readdirSync(tempFolder)).toHaveLength(1);
  await converter.convert(shop.conversion([csv]), never);
  expect(readdirSync(tempFolder)).toEqual([expect.stringContaining(`parquet-${process.pid}-`)]);
});

test('its threads at work give way to other processes', async () => {
  const { converter, tempFolder } = open();
  await converter.convert(shop.conversion([csv]), never);
  const [pid] = processesIn(tempFolder);
  const tasks = readdirSync(`/proc/${pid}/task`).map((task) => ({
    name: readFileSync(`/proc/${pid}/task/${task}/comm`, 'utf8').trim(),
    nice: Number(readFileSync(`/proc/${pid}/task/${task}/stat`, 'utf8').split(') ')[1]!.split(' ')[16]),
  }));
  const atWork = tasks.filter(({ name }) => /libuv|MainThread/.test(name));
  expect(atWork.length).toBeGreaterThan(1);
  expect(atWork.map(({ nice }) => nice)).toEqual(atWork.map(() => 10));
});

test('too little memory is an error that names the setting', async () => {
  const { converter } = open({ memory: '12MB' });
  await expect(converter.convert(shop.conversion([csv]), never)).rejects.toMatchObject({
    code: 'history.converter',
    message: expect.stringMatching(/Out of Memory.*job_processor\.history\.converter\.memory/),
  });
});

test('only that process loads DuckDB', () => {
  const modules = ['converter', 'reader'].map((name) =>
    JSON.stringify(new URL(`../../../services/history/parquet/${name}.ts`, import.meta.url).href),
  );
  const script = `${modules.map((module) => `await import(${module});`).join('')} console.log(/duckdb/.test((await import('node:fs')).readFileSync('/proc/self/maps', 'utf8')))`;
  expect(execFileSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' }).trim()).toBe('false');
});

test('a reader starts one of its own', async () => {
  const { tempFolder } = open();
  const { out } = await shop.converted([csv]);
  const reader = createReader({ ...shop.options, tempFolder });
  const [first, verified] = await Promise.all([reader.firstRows(out, 2), reader.verify(out)]);
  expect([first.length, verified.rows, processesIn(tempFolder).length]).toEqual([2, 40_000, 1]);
  await reader.close();
  expect(readdirSync(tempFolder)).toEqual([]);
});
