/**
 * The kinds of error. Each has a stable `code` (`area.reason`) for programs and a message for people that names the value and the way out.
 * What is not one of these is a defect and is treated as transient: retried, and failed with its text once the attempts are used up.
 */
export class StockmeshError extends Error {
  readonly code: string;
  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
  }
}

/**
 * Something a caller gave is wrong: refused at the edge, nothing was changed. The command line exits with 2. `summary`: the message without what was given, for people
 * who may not see that; by default the message itself.
 */
export class InputError extends StockmeshError {
  readonly summary: string;
  constructor(code: string, message: string, options?: ErrorOptions & { summary?: string }) {
    super(code, message, options);
    this.summary = options?.summary ?? message;
  }
}

/** The configuration is wrong. Raised before anything starts. */
export class ConfigError extends StockmeshError {}

/** May work later (429, 5xx, time-out, lost connection): a job that meets it is retried. `retryAfterMs` is the other side's own wish, if it named one. */
export class TransientError extends StockmeshError {
  readonly retryAfterMs: number | undefined;
  constructor(code: string, message: string, options?: ErrorOptions & { retryAfterMs?: number }) {
    super(code, message, options);
    this.retryAfterMs = options?.retryAfterMs;
  }
}

/** Will never work (unknown symbol, invalid payload): a job that meets it fails at once. */
export class PermanentError extends StockmeshError {}

/** Whether the database is to blame, and not the work that met the error: it is away, read-only or too busy. The same work is done again later, and nothing counts as failed. */
export function isDatabaseAway(error: unknown): error is TransientError {
  return error instanceof TransientError && error.code.startsWith('database.');
}

/** The text of anything that was thrown. */
export function messageOf(error: unknown): string {
  if (error instanceof AggregateError && error.message === '') return error.errors.map(messageOf).join('; ');
  return error instanceof Error ? error.message : String(error);
}

/** The stable code of anything that was thrown: our own, the driver's or the system's (`ECONNREFUSED`), else `internal`. */
export function codeOf(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' ? code : 'internal';
}
