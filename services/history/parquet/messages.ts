/** What this process and the one that runs DuckDB say to each other. Both run the same build, so nothing is checked. */
import type { ContractFilter } from '../dataset.ts';
import type { Conversion, Converted } from './convert.ts';
import type { DayWindow, OffsetPeriod } from './days.ts';
import type { FileColumn, PlainRow, Verification } from './reader.ts';

/** Rows between two moments or two trading days, and the days with which the filter reckons. Microseconds since the epoch. */
export interface SentSelection {
  fromUs: number | null;
  untilUs: number | null;
  fromDay: string | null;
  toDay: string | null;
  filter: SentFilter | null;
}

export interface SentFilter extends ContractFilter {
  days: readonly (DayWindow & { underlying: number })[];
}

/** Microseconds of a quarter of an hour. Trading days begin at a quarter, and each offset from UTC is a whole number of them. */
export const QUARTER_US = 900_000_000;

/** What can be asked, by its kind: the question and the answer. */
export interface Calls {
  convert: [
    question: { conversion: Conversion; part: string; days: readonly DayWindow[]; offsets: readonly OffsetPeriod[] },
    answer: Converted,
  ];
  firstRows: [question: { path: string; limit: number }, answer: PlainRow[]];
  schema: [question: { path: string }, answer: FileColumn[]];
  export: [question: { paths: readonly string[]; selection: SentSelection; out: string }, answer: number];
  chain: [question: { paths: readonly string[]; selection: SentSelection }, answer: PlainRow[]];
  verify: [
    question: { path: string } /** Rows by trading day where the file names it, else by quarter of an hour since the epoch. */,
    answer: Omit<Verification, 'days'> & { quarters: Readonly<Record<string, number>> },
  ];
}
export type Kind = keyof Calls;
export type Question<K extends Kind> = { kind: K } & Calls[K][0];
export type Answer<K extends Kind> = Calls[K][1];

export interface ProcessSettings {
  memory: string;
  threads: number;
  /** Of this process alone; its working directory. */
  folder: string;
}

export type ToProcess = { [K in Kind]: Question<K> }[Kind];

export type FromProcess =
  | { kind: 'answer'; answer: unknown }
  | { kind: 'failed'; error: 'permanent' | 'transient'; code: string; message: string };
