/** Finds the Theta Terminal: it is a program that the user runs, of version 3 or 2, on this machine or another. */
import { messageOf, TransientError } from '../../../platform/errors.ts';
import { StopError } from '../source.ts';
import { said } from './codes.ts';
import { getText, shownUrl } from './http.ts';

export interface Terminal {
  version: 'v3' | 'v2';
  /** Ends with the version: `http://127.0.0.1:25503/v3`. */
  base: string;
}

export interface TerminalFinder {
  /**
   * The terminal, which is looked for once. Errors: `TransientError('theta.no_terminal')` when none answers, `TransientError('theta.disconnected')`,
   * `StopError('theta.login_refused')`.
   */
  find(signal: AbortSignal): Promise<Terminal>;
  /** It does not answer, or not as it did: it is looked for again. */
  forget(): void;
  /** The one that was found last. */
  readonly last: Terminal | undefined;
}

/** Where each version listens. */
const USUAL: readonly Terminal[] = [
  { version: 'v3', base: 'http://127.0.0.1:25503/v3' },
  { version: 'v2', base: 'http://127.0.0.1:25510/v2' },
];
const STATUS_PATH = { v3: '/terminal/mdds/status', v2: '/system/mdds/status' } as const;
/** What a terminal says of its connection to ThetaData. */
const STATES = ['CONNECTED', 'UNVERIFIED', 'DISCONNECTED', 'ERROR'] as const;
const PROBE_MS = 5_000;

/** `url`: `history.theta.url`. `usual`: for tests. */
export function terminalFinder(url: string | null, usual: readonly Terminal[] = USUAL): TerminalFinder {
  const candidates = url === null ? usual : candidatesOf(url);
  let found: Promise<Terminal> | undefined;
  let last: Terminal | undefined;
  return {
    async find(signal) {
      // Several objects are downloaded at once: the terminal is looked for by the first of them, and not given up when that one is.
      found ??= probeAll(candidates, url !== null).then(
        (terminal) => {
          last = terminal;
          return terminal;
        },
        (error: unknown) => {
          found = undefined;
          throw error;
        },
      );
      const terminal = await found;
      signal.throwIfAborted();
      return terminal;
    },
    forget() {
      found = undefined;
    },
    get last() {
      return last;
    },
  };
}

/** An address without a version may be of either. */
function candidatesOf(url: string): Terminal[] {
  const base = url.replace(/\/+$/, '');
  const version = /\/(v[23])$/.exec(base)?.[1] as Terminal['version'] | undefined;
  if (version !== undefined) return [{ version, base }];
  return (['v3', 'v2'] as const).map((each) => ({ version: each, base: `${base}/${each}` }));
}

async function probeAll(candidates: readonly Terminal[], isConfigured: boolean): Promise<Terminal> {
  const reasons: string[] = [];
  for (const candidate of candidates) {
    const reason = await probe(candidate);
    if (reason === undefined) return candidate;
    reasons.push(reason);
  }
  const wayOut = isConfigured
    ? 'Start it there, or correct history.theta.url'
    : 'Start it on this machine ("java -jar ThetaTerminalv3.jar", with Java 21), or name its address in history.theta.url';
  throw new TransientError('theta.no_terminal', `no Theta Terminal was found: ${reasons.join('; ')}. ${wayOut}`);
}

/** Undefined when this is a terminal that works, else why not. */
async function probe({ version, base }: Terminal): Promise<string | undefined> {
  const url = new URL(base + STATUS_PATH[version]);
  let answer: { status: number; text: string };
  try {
    answer = await getText(url, PROBE_MS, AbortSignal.timeout(PROBE_MS * 2));
  } catch (error) {
    return messageOf(error);
  }
  const state = STATES.find((each) => answer.text.trim().toUpperCase() === each);
  const shown = shownUrl(url);
  if (answer.status !== 200 || state === undefined)
    return `${shown}: something else than a Theta Terminal ${version} answers there (${answer.status}${said(answer.text)})`;
  if (state === 'CONNECTED') return undefined;
  if (state === 'UNVERIFIED')
    throw new StopError(
      'theta.login_refused',
      `${shown}: ThetaData refuses the login of the terminal; correct user and password of the terminal and restart it`,
    );
  throw new TransientError('theta.disconnected', `${shown}: the terminal is not connected to ThetaData (${state}); see its log`);
}
