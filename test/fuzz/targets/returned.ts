/** Returned messages: reports of RFC 3464 that are right, and the same with some bytes changed. What is read of a right one is what was written into it. */
import { readReturned } from '../../../services/notifier/bounces/read.ts';
import { InputError } from '../../../services/platform/errors.ts';
import {
  exchange,
  exim,
  eximDelayed,
  eximOld,
  outOfOffice,
  postfix,
  postfixForwarded,
  qmail,
} from '../../notifier/bounces/returned-messages.ts';
import { mutated, type Random, shorterBytes } from '../random.ts';
import { shownBytes, type Target, Wrong } from '../target.ts';

interface Mail {
  bytes: Buffer;
  /** Of the message that came back; undefined where bytes were changed, null where it must be refused. */
  means: { message: string; code: string | null; to: string } | null | undefined;
}

const WRITTEN = [
  [postfix, '5.1.1'],
  [exim, '5.2.1'],
  [eximOld, '550'],
  [eximDelayed, null],
  [exchange, '5.1.10'],
  [qmail, '5.1.1'],
] as const;
const HEX = '0123456789abcdef';

function mail(random: Random): Mail {
  const message = Array.from({ length: 32 }, () => random.pick([...HEX])).join('');
  const to = `${random.pick(['ops', 'o.p+s', "o'neil", 'a-b_c', 'x'])}@${random.pick(['example.com', 'mx.far.example'])}`;
  const messageId = `<${message}@${random.pick(['example.com', 'xn--bcher-kva.example', 'localhost'])}>`;
  const [write, code] = random.pick(WRITTEN);
  if (random.once(8)) return { bytes: Buffer.from(outOfOffice({ messageId, to })), means: null };
  if (random.once(8)) return { bytes: Buffer.from(postfix({ messageId: `<${random.below(1e9)}@far.example>`, to })), means: null };
  if (random.once(8))
    return { bytes: Buffer.from(postfixForwarded({ messageId, to })), means: { message, code: '5.1.1', to: 'somebody.else@far.example' } };
  const text = write({ messageId, to });
  const bytes = Buffer.from(random.once(3) ? text.replaceAll('\r\n', '\n') : text);
  return random.once(2) ? { bytes, means: { message, code, to } } : { bytes: mutated(random, bytes), means: undefined };
}

export const returnedMessages: Target<Mail> = {
  name: 'returned messages',
  inputs: 20_000,
  seconds: 40,
  open: () => ({
    make: mail,
    async judge({ bytes, means }) {
      try {
        const { message, fates } = await readReturned(bytes);
        if (means === null) throw new Wrong(`what is no return of ours is read as one: ${message}`);
        if (!/^[0-9a-f]{32}$/.test(message) || fates.length === 0)
          throw new Wrong(`read as nothing: ${JSON.stringify({ message, fates })}`);
        for (const { reason, code } of fates)
          if (/[\r\n]/.test(reason) || reason.length > 400 || (code !== null && !/^[245](\d\d|\.\d{1,3}\.\d{1,3})$/.test(code)))
            throw new Wrong(`no reason of one line, or no code: ${JSON.stringify({ reason, code })}`);
        if (means !== undefined && (message !== means.message || fates[0]?.code !== means.code || fates[0]?.addresses.final !== means.to))
          throw new Wrong(`read as ${JSON.stringify({ message, fates })}, not as ${JSON.stringify(means)}`);
        return 'accepted';
      } catch (error) {
        if (!(error instanceof InputError)) throw error;
        if (means !== undefined && means !== null) throw new Wrong(`a right one is refused: ${error.message}`);
        if (!/^notify\.\w+$/.test(error.code) || /[\r\n]/.test(error.message)) throw new Wrong(`refused in no one line: ${error.message}`);
        return 'refused';
      }
    },
    smaller: function* ({ bytes, means }) {
      if (means === undefined) for (const shorter of shorterBytes(bytes)) yield { bytes: shorter, means };
    },
    shown: ({ bytes }) => shownBytes(bytes),
  }),
};
