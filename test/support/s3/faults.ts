/** What the test server does wrong on purpose. */

/** LIST and UPLOADS are the listings of objects and of multipart uploads. */
export type Operation = 'PUT' | 'GET' | 'HEAD' | 'DELETE' | 'LIST' | 'UPLOADS' | 'ABORT';

export type Fault =
  /** Answers so, without doing it. */
  | { kind: 'answer'; status: number; code: string; retryAfter?: number }
  /** Cuts the connection after so many bytes of the upload or the download. */
  | { kind: 'cut'; after: number }
  /** Does it, and cuts the connection in place of the answer. */
  | { kind: 'cut-answer' }
  /** Says nothing more after so many bytes of the download; 0: no answer at all. */
  | { kind: 'silent'; after: number }
  /** Confirms an upload and keeps so many bytes of it. */
  | { kind: 'short'; keep: number };

export class Faults {
  readonly #next: { operation: Operation; fault: Fault; times: number }[] = [];

  /** The next `times` requests of this kind have the fault. */
  next(operation: Operation, fault: Fault, times = 1): void {
    this.#next.push({ operation, fault, times });
  }

  take(operation: Operation): Fault | undefined {
    const index = this.#next.findIndex((planned) => planned.operation === operation);
    const planned = this.#next[index];
    if (planned === undefined) return undefined;
    if (--planned.times === 0) this.#next.splice(index, 1);
    return planned.fault;
  }

  /** Requests with a fault that have not come. */
  get left(): number {
    return this.#next.reduce((sum, { times }) => sum + times, 0);
  }

  clear(): void {
    this.#next.length = 0;
  }
}
