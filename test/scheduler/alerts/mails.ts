/** Alerts as a person reads them: in the mails that a real mail server has taken. */
import { expect, vi } from 'vitest';
import type { MailServer } from '../../notifier/mail-server.ts';

/** The text of the one mail whose subject ends so, once it has come. */
async function textOf({ received }: Pick<MailServer, 'received'>, subject: string): Promise<string> {
  const found = await vi.waitFor(
    () => {
      const mails = received.filter((one) => one.mail.subject?.endsWith(subject));
      expect(mails, `${subject} among ${received.map((one) => one.mail.subject).join(', ')}`).toHaveLength(1);
      return mails[0];
    },
    { timeout: 60_000 },
  );
  return found?.mail.text ?? '';
}

/** The mail about an alert that is raised: with its meaning and the way out. */
export async function raisedMail(server: Pick<MailServer, 'received'>, name: string): Promise<string> {
  const text = await textOf(server, `alert ${name}`);
  for (const part of ['What it means: ', 'What to do: ', 'Command: npx stockmesh ']) expect(text).toContain(part);
  return text;
}

export const clearedMail = (server: Pick<MailServer, 'received'>, name: string): Promise<string> => textOf(server, `alert ${name} is over`);
