/** What is fuzzed: how an input is made, and how it is judged. */
import type { Random } from './random.ts';
import type { Servers } from './servers.ts';

export type Verdict = 'accepted' | 'refused';

export interface Target<Input> {
  readonly name: string;
  /** Inputs of a whole run. */
  readonly inputs: number;
  /** Seconds that they take: the target's share of the time. */
  readonly seconds: number;
  /** Inputs that are judged at once, where judging one waits for a server. */
  readonly together?: number;
  /** Milliseconds for which one input may keep everything else waiting: 50 if not given. */
  readonly mostMs?: number;
  open(servers: Servers): Promise<Trial<Input>> | Trial<Input>;
}

export interface Trial<Input> {
  make(random: Random): Input;
  /** Throws when the product is wrong: when it neither accepts nor refuses, or the other of the two than it must. */
  judge(input: Input): Verdict | Promise<Verdict>;
  /** Inputs that are a little smaller, for the smallest one that fails. */
  smaller?(input: Input): Iterable<Input>;
  shown(input: Input): string;
  /** What must hold after all inputs. Throws when it does not. */
  settle?(): Promise<void>;
  close?(): Promise<void>;
}

/** What the product did and must not do. */
export class Wrong extends Error {}

/** The bytes as text in which every one of them can be seen. */
export const shownBytes = (bytes: Uint8Array): string => JSON.stringify(Buffer.from(bytes).toString('latin1'));
