/** Historical files: from a source's answer to a checked Parquet file, beside DuckDB alone on the same rows. */
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { pipeline } from 'node:stream/promises';
import { pino } from 'pino';
import { rowKey } from '../../services/history/parquet/columns.ts';
import type { Converted, Converter } from '../../services/history/parquet/convert.ts';
import { createConverter } from '../../services/history/parquet/converter.ts';
import { peakMemory, processesIn } from '../history/parquet/processes.ts';
import { QUOTE_LAYOUT, writeQuotes } from '../history/parquet/quotes.ts';
import type { BareCopy } from './processes/bare-copy-process.ts';
import { runBareCopy } from './processes/processes.ts';
import { atEnd } from './processes/servers.ts';
import type { Bench } from './report/bench.ts';
import { processorMs } from './report/cpu.ts';
import { figure, print, progress, ratio, table, verdicts } from './report/report.ts';
import { median } from './report/statistics.ts';

const DAY = '2024-01-02';
/** Minutes of a session. */
const ROWS = 390;
/** As config/default.yaml has them. */
const SETTINGS = { memory: '250MB', threads: 1 };
const MB = 1024 * 1024;
/** Milliseconds between two looks at this process. */
const LOOK_MS = 5;
const AIM = { share: 0.7, peakMb: 600, turnMs: 50, parentMb: 100 };

interface Measured {
  rows: number;
  seconds: number;
  /** Seconds of processor time, of both processes. */
  processor: number;
  /** Megabytes of the converting process at most, and of this one more than before. */
  peakMb: number;
  grownMb: number;
  /** Of this process, in milliseconds: the most processor time between two looks of its event loop, and its longest delay by the clock. */
  turnMs: number;
  delayMs: number;
}

export async function historySection(bench: Pick<Bench, 'quick' | 'rounds'>): Promise<unknown> {
  const folder = await mkdtemp(join(tmpdir(), 'stockmesh-bench-history-'));
  // When the bench is interrupted.
  atEnd(() => rm(folder, { recursive: true, force: true }));
  try {
    const speed = await compare(folder, bench);
    const large = await convertLarge(folder, bench);
    report(speed, large);
    return { ...speed, large };
  } finally {
    progress('');
    await rm(folder, { recursive: true, force: true });
  }
}

/** Both in turns: on a shared machine neighbours in time are alike. */
async function compare(folder: string, { quick, rounds }: Pick<Bench, 'quick' | 'rounds'>) {
  const csv = join(folder, 'answer.csv');
  const contracts = quick ? 500 : 12_820;
  progress(`history: inventing ${figure(contracts * ROWS)} quotes`);
  await writeQuotes(csv, { day: DAY, contracts, rows: ROWS });
  const bare: BareCopy[] = [];
  const ours: Measured[] = [];
  for (let round = 1; round <= rounds; round++) {
    progress(`history: round ${round} of ${rounds}, DuckDB alone`);
    const out = join(folder, 'bare.parquet');
    const order = {
      csv,
      out,
      columns: QUOTE_LAYOUT.columns,
      key: rowKey({ asset: 'option', schema: 'quote' }),
      folder: join(folder, 'spill'),
    };
    bare.push(await runBareCopy({ ...order, ...SETTINGS }));
    progress(`history: round ${round} of ${rounds}, the pipeline`);
    ours.push(
      await measure(folder, async (converter) => {
        const spool = join(folder, 'spool.csv');
        await pipeline(createReadStream(csv), createWriteStream(spool));
        return convert(converter, spool, folder);
      }),
    );
  }
  return { rows: contracts * ROWS, bare, ours };
}

async function convertLarge(folder: string, { quick }: Pick<Bench, 'quick'>): Promise<Measured> {
  const csv = join(folder, 'large.csv');
  const contracts = quick ? 2_000 : 51_282;
  progress(`history: inventing ${figure(contracts * ROWS)} quotes`);
  await rm(join(folder, 'answer.csv'));
  await rm(join(folder, 'spool.csv'));
  await writeQuotes(csv, { day: DAY, contracts, rows: ROWS });
  progress(`history: converting ${figure(contracts * ROWS)} quotes`);
  return measure(folder, (converter) => convert(converter, csv, folder));
}

function convert(converter: Converter, csv: string, folder: string): Promise<Converted> {
  const files = [{ path: csv, layout: QUOTE_LAYOUT }];
  const conversion = {
    asset: 'option',
    schema: 'quote',
    interval: '1m',
    root: 'AAPL',
    files,
    days: [DAY],
    out: join(folder, 'data.parquet'),
  } as const;
  return converter.convert(conversion, new AbortController().signal);
}

/** Each time by a process of its own, whose start counts. */
async function measure(folder: string, work: (converter: Converter) => Promise<Converted>): Promise<Measured> {
  const tempFolder = join(folder, 'temporary');
  const converter = createConverter({ ...SETTINGS, tempFolder, log: pino({ level: 'warn' }) });
  const looking = watchThisProcess();
  const began = performance.now();
  const used = process.cpuUsage();
  try {
    const result = await work(converter);
    const seconds = (performance.now() - began) / 1000;
    const { user, system } = process.cpuUsage(used);
    const [pid] = processesIn(tempFolder);
    const processor = (user + system) / 1e6 + processorMs(pid!) / 1000;
    const peakMb = peakMemory(pid!) / MB;
    return { rows: result.rows, seconds, processor, peakMb, ...looking() };
  } finally {
    looking();
    await converter.close();
  }
}

/** Looks every few milliseconds, and so takes nothing from the other process. The function that it gives ends it. */
function watchThisProcess(): () => Pick<Measured, 'grownMb' | 'turnMs' | 'delayMs'> {
  const used = (): number => {
    const { user, system } = process.threadCpuUsage();
    return (user + system) / 1000;
  };
  const before = process.memoryUsage.rss();
  const delays = monitorEventLoopDelay({ resolution: LOOK_MS });
  let most = before;
  let last = used();
  let turnMs = 0;
  const look = (): void => {
    const now = used();
    // Of all turns since the last look, so at least that of the longest one.
    turnMs = Math.max(turnMs, now - last);
    last = now;
    most = Math.max(most, process.memoryUsage.rss());
  };
  delays.enable();
  const timer = setInterval(look, LOOK_MS);
  return () => {
    clearInterval(timer);
    delays.disable();
    return { grownMb: (most - before) / MB, turnMs, delayMs: delays.max / 1e6 };
  };
}

function report({ rows, bare, ours }: Awaited<ReturnType<typeof compare>>, large: Measured): void {
  const line = (name: string, count: number, runs: readonly Pick<Measured, 'seconds' | 'processor' | 'peakMb'>[]) => {
    const seconds = runs.map((run) => run.seconds);
    const processor = median(runs.map((run) => run.processor));
    return [
      name,
      count,
      ...[median(seconds), Math.min(...seconds), Math.max(...seconds), processor, count / median(seconds)],
      Math.max(...runs.map(({ peakMb }) => peakMb)),
    ];
  };
  const peak = Math.max(...ours.map(({ peakMb }) => peakMb));
  const all = [...ours, large];
  const turnMs = Math.max(...all.map((each) => each.turnMs));
  const grownMb = Math.max(...all.map((each) => each.grownMb));
  print(
    `\nhistory. Option quotes of a day, contracts shuffled, to Parquet; DuckDB with ${SETTINGS.threads} thread and ${SETTINGS.memory}; ${bare.length} rounds\n`,
  );
  print(
    table(
      ['', 'rows', 'seconds', 'least', 'most', 'processor', 'rows/s', 'peak MB'],
      [
        line('DuckDB alone: COPY … ORDER BY', rows, bare),
        line('spool, convert, read back, checksum', rows, ours),
        line('the same without the spool', large.rows, [large]),
      ],
    ),
  );
  print(
    `  The process that asks: at most ${figure(grownMb)} MB more, event loop late by up to ${figure(Math.max(...all.map(({ delayMs }) => delayMs)))} ms on this machine.`,
  );
  const [alone, times] = [bare, ours].map((runs) => median(runs.map(({ seconds }) => seconds))) as [number, number];
  const processor = ratio(median(bare.map((run) => run.processor)), median(ours.map((run) => run.processor)));
  const peakMb = Math.max(peak, large.peakMb);
  print(
    `\n${verdicts([
      {
        aim: `at least ${AIM.share} × the speed of DuckDB alone`,
        measured: `${ratio(alone, times)} by the clock, ${processor} in processor time`,
        met: alone / times >= AIM.share,
      },
      { aim: `the converting process under ${AIM.peakMb} MB`, measured: `${figure(peakMb)} MB`, met: peakMb < AIM.peakMb },
      {
        aim: `the process that asks grows by less than ${AIM.parentMb} MB`,
        measured: `${figure(grownMb)} MB`,
        met: grownMb < AIM.parentMb,
      },
      { aim: `no turn of its event loop over ${AIM.turnMs} ms`, measured: `${figure(turnMs)} ms`, met: turnMs < AIM.turnMs },
    ])}`,
  );
}
