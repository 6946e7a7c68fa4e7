/** What a Theta Terminal's status codes mean. Source: the vendor's table of error codes, the same for v2 and v3. */
import { PermanentError, type StockmeshError, TransientError } from '../../../platform/errors.ts';
import { withoutSecrets } from '../../../platform/log/secrets.ts';
import { plain } from '../../../platform/text/characters.ts';
import { NotEntitledError, StopError } from '../source.ts';

/** 472: there are no data of what was asked for. */
export const NO_DATA = 472;
/** 570: the answer would be too large. What was asked for is asked in parts. */
export class TooLargeError extends PermanentError {}
/** 429: the account, or the terminal, has too much to do. */
export class BusyError extends TransientError {}

interface Meaning {
  kind: 'busy' | 'transient' | 'permanent' | 'stop' | 'not_entitled' | 'too_large';
  /** Stable, for programs. */
  code: string;
  /** What it means, and the way out, for people. */
  text: string;
}

const MEANINGS: Readonly<Record<number, Meaning>> = {
  401: {
    kind: 'stop',
    code: 'theta.refused',
    text: 'the server in front of the terminal wants a login: put user and password into history.theta.url',
  },
  403: { kind: 'stop', code: 'theta.refused', text: 'the server in front of the terminal refuses this caller' },
  404: {
    kind: 'stop',
    code: 'theta.no_endpoint',
    text: 'the terminal does not have this endpoint: update the terminal, or correct the version at the end of history.theta.url',
  },
  429: {
    kind: 'busy',
    code: 'theta.busy',
    text: 'the terminal has too many requests; is history.theta.tier the subscription of the account?',
  },
  470: { kind: 'transient', code: 'theta.general', text: 'a general error of the terminal' },
  471: { kind: 'not_entitled', code: 'theta.not_entitled', text: 'the subscription of the account does not have these data' },
  473: {
    kind: 'stop',
    code: 'theta.bad_request',
    text: 'the terminal does not take these parameters; update the terminal, or report the request',
  },
  474: { kind: 'transient', code: 'theta.disconnected', text: 'the terminal has lost its connection to ThetaData' },
  475: { kind: 'permanent', code: 'theta.not_parsed', text: 'the terminal could not read the request, or the answer of ThetaData' },
  476: {
    kind: 'stop',
    code: 'theta.wrong_address',
    text: 'the terminal was first asked under another address: use the same one everywhere, either 127.0.0.1 or localhost, in history.theta.url, or restart the terminal',
  },
  477: { kind: 'transient', code: 'theta.page_gone', text: 'a page of the answer has expired; it is asked for from the first page again' },
  478: {
    kind: 'stop',
    code: 'theta.other_session',
    text: 'the session of the terminal is invalid: a second terminal runs on the same account. Stop it, then restart this one',
  },
  570: { kind: 'too_large', code: 'theta.too_large', text: 'the answer is too large for the terminal' },
  571: { kind: 'transient', code: 'theta.restarting', text: "ThetaData's server is restarting" },
  572: { kind: 'transient', code: 'theta.uncaught', text: 'an error that the terminal did not expect' },
};

const ERROR_OF = {
  busy: BusyError,
  transient: TransientError,
  permanent: PermanentError,
  stop: StopError,
  not_entitled: NotEntitledError,
  too_large: TooLargeError,
} as const;

/** The error of an answer that is neither 200 nor `NO_DATA`. `url` and `text` are shown, without secrets and shortened. */
export function errorOfStatus(status: number, url: string, text: string): StockmeshError {
  const unknown: Meaning =
    status >= 500
      ? { kind: 'transient', code: 'theta.unavailable', text: 'the terminal, or a server in front of it, is in trouble' }
      : { kind: 'permanent', code: 'theta.unexpected', text: 'the terminal answered with a status that it should not have' };
  const meaning = MEANINGS[status] ?? unknown;
  return new ERROR_OF[meaning.kind](meaning.code, `${url}: ${meaning.text} (${status}${said(text)})`);
}

const SHOWN = 200;

/** The text of an answer as one short line without secrets, after a colon; empty for none. */
export function said(text: string): string {
  const line = withoutSecrets(plain(text).trim());
  if (line === '') return '';
  return `: "${line.length > SHOWN ? `${line.slice(0, SHOWN)}…` : line}"`;
}
