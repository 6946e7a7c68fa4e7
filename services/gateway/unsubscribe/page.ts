/** The page behind the link of a mail: text and one button. No script, no style: what a mail's reader opens is shown everywhere. */
import type { Subscription } from '../../platform/notify/unsubscribe.ts';
import { isAddress } from '../../platform/notify/users.ts';
import { EVENTS } from '../../platform/outbox.ts';
import { masked } from '../../platform/registry/told.ts';
import { escaped } from '../../platform/text/html.ts';

export const PAGE_TYPE = 'text/html; charset=utf-8';

export interface State {
  /** None of these events is told any more. */
  isUnwanted: boolean;
  /** Why nothing is sent to the address; undefined where mail arrives. */
  cameBack: string | undefined;
  /** The button was just pressed. */
  isDone: boolean;
}

export function subscriptionPage({ who, events }: Subscription, { isUnwanted, cameBack, isDone }: State): string {
  const name = escaped(masked(who));
  const isStopped = isUnwanted || cameBack !== undefined;
  const title = isStopped ? 'These messages are stopped' : isDone ? 'These messages are sent again' : 'Stop these messages?';
  const lead = isStopped ? `stockmesh does not write to ${name} any more of:` : `stockmesh writes to ${name} of:`;
  const [wish, button] = isStopped ? ['again', 'Send them again'] : ['stop', 'Stop these messages'];
  return pageOf(
    title,
    `<p>${lead}</p><ul>${events.map((event) => `<li>${escaped(meaningOf(event))}</li>`).join('')}</ul>` +
      (isAddress(who) ? '<p>What is critical is told to an address of the configuration in any case.</p>' : '') +
      (cameBack === undefined
        ? ''
        : `<p>Nothing at all is sent to this address, since mail came back from there: ${escaped(cameBack)}</p>`) +
      `<form method="post"><input type="hidden" name="wish" value="${wish}"><button>${button}</button></form>`,
  );
}

export const badLinkPage = (detail: string): string => pageOf('This link does not work', `<p>${escaped(detail)}</p>`);

const meaningOf = (event: string): string => (event in EVENTS ? `${EVENTS[event as keyof typeof EVENTS]} (${event})` : event);

function pageOf(title: string, content: string): string {
  return (
    '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">' +
    `<meta name="color-scheme" content="light dark"><title>${title} – stockmesh</title></head><body><main><h1>${title}</h1>${content}</main></body></html>`
  );
}
