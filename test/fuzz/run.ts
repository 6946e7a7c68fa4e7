/** Runs targets: makes inputs from a seed, judges them, makes those that fail smaller, and measures memory and the event loop. */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as delay, setImmediate as turn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { messageOf } from '../../services/platform/errors.ts';
import { randomOf } from './random.ts';
import type { Servers } from './servers.ts';
import { type Target, type Trial, type Verdict, Wrong } from './target.ts';

export interface Row {
  target: string;
  inputs: number;
  seed: number;
  seconds: number;
  accepted: number;
  refused: number;
  faults: number;
  /** Milliseconds for which one input kept everything else waiting, at most. */
  longestMs: number;
  /** MiB in use after a tenth, half and all of the inputs. */
  heap: [number, number, number];
}

export interface Fault {
  target: string;
  seed: number;
  /** Which input of the seed. */
  index: number;
  message: string;
  /** The smallest input that fails. */
  input: string;
}

export interface RunOptions {
  seed: number;
  /** The first input's number, to repeat one. */
  from: number;
  inputs: number;
  seconds: number;
  servers: Servers;
  onFault(fault: Fault): void;
}

/** One input must not keep everything else waiting for longer, where its target says nothing else. */
const MOST_BLOCKED_MS = 50;
const LOOP_RESOLUTION_MS = 5;
/** An input that is not judged by then hangs. */
const HANGS_MS = 20_000;
const AT_A_TIME = 128;
/** Of those that wait for a server: a busy machine needs seconds for more. */
const WAITING_AT_A_TIME = 32;
const MOST_SHRUNK = 2_000;
const MOST_FAULTS = 10;
/** What may stay after the first tenth: caches that fill. A leak of 100 bytes an input is larger from 200,000 inputs on, one of 1 KiB from 16,000. */
const MOST_GROWTH_MIB = 16;

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

async function heapMiB(): Promise<number> {
  for (let round = 0; round < 2; round++) {
    await turn();
    collect();
  }
  const { heapUsed, external } = process.memoryUsage();
  return Math.round(((heapUsed + external) / 2 ** 20) * 10) / 10;
}

/** Runs one target, until its inputs or its seconds are used up. */
export async function runTarget<Input>(target: Target<Input>, options: RunOptions): Promise<Row> {
  const { seed, from, inputs, seconds, servers } = options;
  const trial = await target.open(servers);
  const counts = { accepted: 0, refused: 0, faults: 0 };
  let longestMs = 0;
  const mostMs = target.mostMs ?? MOST_BLOCKED_MS;
  const report = (index: number, message: string, input: string): void => {
    counts.faults++;
    options.onFault({ target: target.name, seed, index, message, input });
  };
  const loop = monitorEventLoopDelay({ resolution: LOOP_RESOLUTION_MS });
  loop.enable();
  const started = performance.now();
  const elapsed = (): number => (performance.now() - started) / 1000;
  const heap: number[] = [];
  let done = 0;
  while (done < inputs && counts.faults < MOST_FAULTS && (done === 0 || elapsed() < seconds)) {
    const size = Math.min(target.together === undefined ? AT_A_TIME : WAITING_AT_A_TIME, inputs - done);
    loop.reset();
    const batch = Array.from({ length: size }, (_, at) => ({
      index: from + done + at,
      input: trial.make(randomOf(seed, from + done + at)),
    }));
    const waits = target.together !== undefined;
    const { longest, slow } = await judgeAll(trial, batch, target.together ?? 1, mostMs, async ({ index, input }, verdict, error) => {
      if (error === undefined) counts[verdict as Verdict]++;
      else {
        const found = await smallest(trial, input, error);
        report(index, messageOf(found.error), trial.shown(found.input));
      }
    });
    // Waits until the measuring timer has fired once more.
    if (waits) await delay(1);
    const blocked = waits ? loop.max / 1e6 - LOOP_RESOLUTION_MS : longest;
    const suspects = !waits ? slow : blocked > mostMs ? batch : [];
    if (blocked <= mostMs) longestMs = Math.max(longestMs, blocked);
    if (suspects.length > 0)
      for (const { index, input, ms } of await blockers(trial, suspects, target.together, mostMs, loop)) {
        longestMs = Math.max(longestMs, ms);
        report(index, `keeps everything else waiting for ${ms.toFixed(0)} ms`, trial.shown(input));
      }
    done += size;
    const progress = Math.max(done / inputs, elapsed() / seconds);
    if ((heap.length === 0 && progress >= 0.1) || (heap.length === 1 && progress >= 0.5)) heap.push(await heapMiB());
  }
  loop.disable();
  await trial.settle?.().catch((error: unknown) => report(from + done, `after all inputs: ${messageOf(error)}`, ''));
  heap.push(await heapMiB());
  const [early, middle, late] = [heap[0]!, heap.at(-2) ?? heap[0]!, heap.at(-1)!];
  if (late - early > MOST_GROWTH_MIB && late - middle > MOST_GROWTH_MIB / 4)
    report(from + done, `memory grows: ${early}, ${middle} and ${late} MiB after a tenth, half and all of the inputs`, '');
  await trial.close?.();
  return { target: target.name, inputs: done, seed, seconds: elapsed(), ...counts, longestMs, heap: [early, middle, late] };
}

type Numbered<Input> = { index: number; input: Input };

/** Judges a batch, some together. Of those that are judged without waiting: those that take too long, and the milliseconds of the longest other one. */
async function judgeAll<Input>(
  trial: Trial<Input>,
  batch: readonly Numbered<Input>[],
  together: number,
  mostMs: number,
  onJudged: (one: Numbered<Input>, verdict: Verdict | undefined, error: unknown) => Promise<void>,
): Promise<{ longest: number; slow: Numbered<Input>[] }> {
  let longest = 0;
  const slow: Numbered<Input>[] = [];
  const queue = [...batch];
  const lane = async (): Promise<void> => {
    for (let one = queue.shift(); one !== undefined; one = queue.shift()) {
      const begun = performance.now();
      try {
        const judged = trial.judge(one.input);
        const took = performance.now() - begun;
        if (took > mostMs) slow.push(one);
        else longest = Math.max(longest, took);
        const verdict = judged instanceof Promise ? await inTime(judged) : judged;
        await onJudged(one, verdict, undefined);
      } catch (error) {
        await onJudged(one, undefined, error);
      }
    }
  };
  await Promise.all(Array.from({ length: together }, lane));
  await turn();
  return { longest, slow };
}

async function inTime<T>(judged: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Wrong(`no answer within ${HANGS_MS / 1000} s`)), HANGS_MS);
  });
  return Promise.race([judged, late]).finally(() => clearTimeout(timer));
}

/** Those of a batch that keep everything else waiting, each by itself three times: a busy machine delays one of them, not all. Those that wait are looked for in halves. */
async function blockers<Input>(
  trial: Trial<Input>,
  batch: readonly Numbered<Input>[],
  together: number | undefined,
  mostMs: number,
  loop: ReturnType<typeof monitorEventLoopDelay>,
): Promise<(Numbered<Input> & { ms: number })[]> {
  const times: number[] = [];
  const isOne = batch.length === 1;
  while (times.length < (isOne ? 3 : 1) && (isOne || together !== undefined)) {
    await delay(LOOP_RESOLUTION_MS);
    loop.reset();
    const begun = process.threadCpuUsage();
    // What is wrong with them was reported when they were judged first.
    await judgeAll(trial, batch, together ?? 1, mostMs, async () => {});
    // Of what does not wait: the time of the processor, to which other programs of the machine add nothing.
    const { user, system } = process.threadCpuUsage(begun);
    const took = (user + system) / 1000;
    await delay(LOOP_RESOLUTION_MS);
    times.push(together === undefined ? took : loop.max / 1e6 - LOOP_RESOLUTION_MS);
    if (times.at(-1)! <= mostMs) return [];
  }
  if (isOne) return [{ ...batch[0]!, ms: Math.min(...times) }];
  const half = Math.ceil(batch.length / 2);
  return [
    ...(await blockers(trial, batch.slice(0, half), together, mostMs, loop)),
    ...(await blockers(trial, batch.slice(half), together, mostMs, loop)),
  ];
}

/** Goes on with whatever is smaller and fails too. */
async function smallest<Input>(trial: Trial<Input>, input: Input, error: unknown): Promise<{ input: Input; error: unknown }> {
  let found = { input, error };
  let tries = 0;
  for (let progress = true; progress; ) {
    progress = false;
    for (const candidate of trial.smaller?.(found.input) ?? []) {
      if (++tries > MOST_SHRUNK) return found;
      const failure = await failureOf(trial, candidate);
      // Another fault has an input of its own.
      if (failure === undefined || kindOf(failure) !== kindOf(error)) continue;
      found = { input: candidate, error: failure };
      progress = true;
      break;
    }
  }
  return found;
}

const kindOf = (error: unknown): string => messageOf(error).slice(0, 24);

async function failureOf<Input>(trial: Trial<Input>, input: Input): Promise<unknown> {
  try {
    const judged = trial.judge(input);
    if (judged instanceof Promise) await inTime(judged);
    return undefined;
  } catch (error) {
    return error;
  }
}
