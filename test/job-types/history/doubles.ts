/** A source and a converter that tests steer, over a real store in a folder. */
import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { HistoryParts } from '../../../services/history/configured.ts';
import type { Dataset, ObjectSpec } from '../../../services/history/dataset.ts';
import { FolderStore } from '../../../services/history/objects/folder.ts';
import type { ObjectStore } from '../../../services/history/objects/store.ts';
import type { Converter } from '../../../services/history/parquet/convert.ts';
import type { HistorySource } from '../../../services/history/sources/source.ts';

/** Gives rows of these days; none for an empty list. */
export type Answer = (object: ObjectSpec, days: readonly string[], signal: AbortSignal) => Promise<readonly string[]> | readonly string[];

export interface ScriptedSource extends HistorySource {
  /** Names of the periods that were asked for, in order. */
  readonly asked: string[];
  /** By default it has three rows of each day. */
  answer: Answer;
  refusal: (dataset: Dataset) => string | undefined;
}

export function scriptedSource(answer: Answer = (_, days) => days): ScriptedSource {
  const source: ScriptedSource = {
    name: 'theta',
    asked: [],
    answer,
    refusal: () => undefined,
    refuses: (dataset) => source.refusal(dataset),
    calls: () => 1,
    async fetch(object, days, folder, signal) {
      source.asked.push(object.period.name);
      const has = await source.answer(object, days, signal);
      const requests = [{ url: `http://terminal/${object.key}`, status: has.length === 0 ? 472 : 200, bytes: 100 }];
      if (has.length === 0) return { files: [], requests, version: 'theta v3' };
      const path = join(folder, 'rows.csv');
      await writeFile(path, `${has.join('\n')}\n`);
      return { files: [{ path, layout: { name: 'days', header: false, columns: {}, select: {} } }], requests, version: 'theta v3' };
    },
  };
  return source;
}

/** A source that has everything but the objects of `isStuck`, whose requests last until they are stopped. */
export function stuckSource(isStuck: (object: ObjectSpec) => boolean = () => true): {
  source: ScriptedSource;
  /** The first such request is under way. */
  begun: Promise<void>;
  /** Why it was stopped. */
  stopped: Promise<unknown>;
} {
  const begun = Promise.withResolvers<void>();
  const stopped = Promise.withResolvers<unknown>();
  const source = scriptedSource((object, days, signal) => {
    if (!isStuck(object)) return days;
    begun.resolve();
    return new Promise((_, reject) => {
      signal.addEventListener('abort', () => {
        stopped.resolve(signal.reason);
        reject(signal.reason);
      });
    });
  });
  return { source, begun: begun.promise, stopped: stopped.promise };
}

/** Makes of each line, which is a day, three rows. */
export const countingConverter: Converter = {
  async convert({ files, out }, signal) {
    signal.throwIfAborted();
    const texts = await Promise.all(files.map(({ path }) => readFile(path, 'utf8')));
    const days = texts.flatMap((text) => text.trim().split('\n'));
    const made = Buffer.from(`PAR1 ${days.join(' ')} ${process.hrtime.bigint()}`);
    await writeFile(out, made);
    return {
      rows: 3 * days.length,
      bytes: made.length,
      sha256: createHash('sha256').update(made).digest('hex'),
      days: Object.fromEntries(days.map((day) => [day, 3])),
      quality: { crossed: 1, zeroBids: 0, outsideSession: 0, oddBids: 0 },
      writer: 'a test',
    };
  },
  close: async () => {},
};

/** Its files are no Parquet. */
const noReader: HistoryParts['reader'] = {
  firstRows: async () => Promise.reject(new Error('nothing is read here')),
  close: async () => {},
};

export interface HistoryDoubles {
  source: ScriptedSource;
  store: ObjectStore;
  spool: string;
  history: () => Promise<HistoryParts>;
}

/** Parts in folders of their own, which are removed at the end of the test. */
export async function historyDoubles(source = scriptedSource()): Promise<HistoryDoubles> {
  const folder = await mkdtemp(join(tmpdir(), 'history-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const spool = await mkdtemp(join(folder, 'spool-'));
  const store = new FolderStore({ folder: join(folder, 'store'), isPrivate: true });
  return {
    source,
    store,
    spool,
    history: async () => ({ sources: [source], converter: countingConverter, store, reader: noReader, spool }),
  };
}
