/** A client of an event stream, as a browser is one: keeps what it heard, and where it stands. */
import { onTestFinished } from 'vitest';
import type { Caller } from '../mesh.ts';

export interface Heard {
  event: string;
  // biome-ignore lint/suspicious/noExplicitAny: the shape is what the tests are about
  data: any;
}

export interface EventSource {
  status: number;
  heard: Heard[];
  /** The data of the events of one type. */
  of(event: string): Heard['data'][];
  readonly lastEventId: string | undefined;
  /** Comments: signs of life. */
  readonly comments: number;
  /** Resolves when the other side has ended it. */
  ended: Promise<void>;
  close(): void;
}

export async function listen(url: string, { key }: Pick<Caller, 'key'>, headers: Record<string, string> = {}): Promise<EventSource> {
  const stop = new AbortController();
  onTestFinished(() => stop.abort());
  const response = await fetch(url, { headers: { authorization: `Bearer ${key}`, ...headers }, signal: stop.signal });
  const heard: Heard[] = [];
  let lastEventId: string | undefined;
  let comments = 0;
  const read = async (): Promise<void> => {
    let text = '';
    for await (const chunk of (response.body ?? []) as AsyncIterable<Uint8Array>) {
      text += new TextDecoder().decode(chunk);
      for (let end = text.indexOf('\n\n'); end !== -1; end = text.indexOf('\n\n')) {
        const fields = new Map(
          text
            .slice(0, end)
            .split('\n')
            .map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)]),
        );
        text = text.slice(end + 2);
        if (fields.has('')) comments++;
        lastEventId = fields.get('id') ?? lastEventId;
        if (fields.has('data')) heard.push({ event: fields.get('event')!, data: JSON.parse(fields.get('data')!) });
      }
    }
  };
  const ended = read().catch(() => undefined);
  return {
    status: response.status,
    heard,
    of: (event) => heard.filter((one) => one.event === event).map(({ data }) => data),
    get lastEventId() {
      return lastEventId;
    },
    get comments() {
      return comments;
    },
    ended,
    close: () => stop.abort(),
  };
}
