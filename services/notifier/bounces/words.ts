/** What is told in words alone: Exim of before 2013, qmail, and relays that send the answer of the next server as plain text. */
import type { Address, Email } from 'postal-mime';
import { EXPIRED, EXPIRED_CODE, enhancedIn } from './codes.ts';
import type { Fate } from './read.ts';

/** Where the copy of the message begins: its words are ours, and no reason. */
const COPY_BEGINS =
  /^(-+ ?(This is a copy of|Below this line is a copy|Original message|Undelivered message|The header of the original)|Return-Path:|Received:|Message-ID:)/im;
/** Where a server's answer begins. */
const BASIC = /(?:^[ \t]*|: |said |error )\(?([45]\d\d)[ -]/im;
const DELAYED =
  /\b(has been delayed|message .{0,60}delayed|delivery delayed|not yet been delivered|will (be retried|keep trying|continue to try|try again))/i;
/** Nothing for a mail that no mail system wrote, and for one that names no reason. */
export function inWords(email: Email, text: string): Fate[] {
  const header = email.headers.find(({ key }) => key === 'x-failed-recipients')?.value;
  if (header === undefined && !isOfMailSystem(email.from)) return [];
  const said = text.slice(0, COPY_BEGINS.exec(text)?.index ?? text.length).slice(0, 20_000);
  const isDelayed = DELAYED.test(said) && header === undefined;
  const code = EXPIRED.test(said) ? EXPIRED_CODE : (enhancedIn(said) ?? BASIC.exec(said)?.[1] ?? null);
  if (code === null && header === undefined && !isDelayed) return [];
  const fate = { outcome: isDelayed ? ('delayed' as const) : ('failed' as const), code, reason: reasonIn(said, code, isDelayed) };
  const failed = header?.split(',').map((one) => one.trim().toLowerCase()) ?? quotedAddresses(said);
  return (failed.length === 0 ? [undefined] : failed).map((final) => ({ ...fate, addresses: { original: undefined, final } }));
}

const isOfMailSystem = (from: Address | undefined): boolean => /^(mailer-daemon|postmaster|mail-?daemon)@/i.test(`${from?.address ?? ''}@`);

/** qmail: a line with the address alone, in angle brackets, and a colon. Exim: an indented line with the address alone. */
const quotedAddresses = (said: string): string[] =>
  [...said.matchAll(/^(?:<([^<>\s@]+@[^<>\s]+)>:|[ \t]{2,}([^<>\s@:]+@[^<>\s:]+))[ \t]*$/gm)]
    .map(([, bracketed, indented]) => (bracketed ?? indented ?? '').toLowerCase())
    .slice(0, 20);

/** The line of the code with what follows it in its paragraph, or the first that says that there is a fault. */
function reasonIn(said: string, code: string | null, isDelayed: boolean): string {
  const lines = said.split('\n').map((line) => line.trim());
  const mark = isDelayed ? DELAYED : EXPIRED.test(said) ? EXPIRED : undefined;
  const at = lines.findIndex((line) => (mark === undefined ? code !== null && line.includes(code) : mark.test(line)));
  if (at === -1) return lines.find((line) => line !== '') ?? 'no reason was given';
  const end = lines.indexOf('', at);
  return lines.slice(at, end === -1 ? at + 4 : end).join(' ');
}
