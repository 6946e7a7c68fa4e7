import type { Machine } from './network.ts';

/** A database server or a broker on a machine of its own. */
export interface Node {
  readonly name: string;
  readonly machine: Machine;
  /** Resolves when it works. */
  start(): Promise<void>;
  /** Sends the signal and resolves when the process is gone. */
  end(signal: NodeJS.Signals): Promise<void>;
  /** Resolves when it works together with all others. */
  whole(): Promise<void>;
  /** Resolves when the next node may be stopped. As `whole` where that says so. */
  spare?(): Promise<void>;
}
