/** The process that runs DuckDB: reads and writes the files that it is told to, one question after the other, and ends with the process that started it. */
import { readdir, rm, writeFile } from 'node:fs/promises';
import { setPriority } from 'node:os';
import { messageOf, PermanentError, StockmeshError } from '../../platform/errors.ts';
import type { Answer, FromProcess, Kind, ProcessSettings, Question, ToProcess } from './messages.ts';

/** Other work of the machine goes first (-20 to 19). */
const NICE = 10;
/** The system kills this process before its worker when memory runs out (-1000 to 1000). */
const OOM_SCORE = '500';

// Threads have the priority of the one that creates them, so before there are others.
setPriority(NICE);
// The worker decides when this process ends. A signal to both of them is the worker's to handle.
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => {});
// Not `exit`, which would wait for a thread that is at work.
process.once('disconnect', () => process.kill(process.pid, 'SIGKILL'));
// Not on every system.
await writeFile('/proc/self/oom_score_adj', OOM_SCORE).catch(() => {});

const settings = JSON.parse(process.argv[2]!) as ProcessSettings;
const { convert } = await import('./write.ts');
const { chain, exportCsv, firstRows, schema, verify } = await import('./read.ts');

const WORK: { [K in Kind]: (question: Question<K>, settings: ProcessSettings) => Promise<Answer<K>> } = {
  ...{ convert, firstRows, schema, chain, verify },
  export: exportCsv,
};

process.on('message', (question: ToProcess) => {
  void answer(question).then((message) => process.send?.(message));
});

async function answer(question: ToProcess): Promise<FromProcess> {
  try {
    const work = WORK[question.kind] as (question: ToProcess, settings: ProcessSettings) => Promise<unknown>;
    return { kind: 'answer', answer: await work(question, settings) };
  } catch (error) {
    const isOurs = error instanceof StockmeshError;
    return {
      kind: 'failed',
      error: error instanceof PermanentError ? 'permanent' : 'transient',
      code: isOurs ? error.code : 'history.converter',
      message: messageOf(error),
    };
  } finally {
    await emptyFolder();
  }
}

async function emptyFolder(): Promise<void> {
  for (const name of await readdir(settings.folder)) await rm(name, { recursive: true, force: true });
}
