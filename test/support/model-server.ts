/** A server that speaks OpenAI's Chat Completions, with the faults of real ones. It counts the requests that reached it, by their prompt. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text as bodyOf } from 'node:stream/consumers';

export interface ModelRequest {
  model: string;
  messages: { role: string; content: string }[];
  response_format?: { json_schema: { schema: unknown } };
  max_tokens?: number;
}

/** What the server does with one request. */
export type Behaviour =
  | {
      kind: 'answer';
      text: string;
      usage?: Record<string, unknown> | null;
      finishReason?: string;
      refusal?: string;
      searchResults?: unknown[];
      /** Fields of the last chunk, in place of its own. */
      head?: Record<string, unknown>;
      /** Not streamed, though it was asked for. */
      whole?: boolean;
      delayMs?: number;
    }
  | { kind: 'status'; status: number; headers?: Record<string, string>; body?: string }
  /** Closes the connection: before the headers, after them, or after half of the text. */
  | { kind: 'cut'; when: 'before' | 'headers' | 'half'; text?: string }
  /** Says nothing at all. */
  | { kind: 'silent' }
  /** Calls `waiting` when the request is here, and answers when `go` resolves. */
  | { kind: 'hold'; text: string; waiting?: () => void; go: Promise<void> };

export interface ModelServer {
  /** For `model.base_url`. */
  readonly url: string;
  readonly requests: readonly ModelRequest[];
  behave(next: Behaviour | ((request: ModelRequest, index: number) => Behaviour)): void;
  close(): Promise<void>;
}

export async function modelServer(first: Behaviour = { kind: 'answer', text: '{}' }): Promise<ModelServer> {
  const requests: ModelRequest[] = [];
  let behaviour: (request: ModelRequest, index: number) => Behaviour = () => first;
  const server = createServer((request, response) => {
    void (async () => {
      const asked = JSON.parse(await bodyOf(request)) as ModelRequest;
      requests.push(asked);
      await act(behaviour(asked, requests.length - 1), asked, request, response);
    })();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    requests,
    behave(next) {
      behaviour = typeof next === 'function' ? next : () => next;
    },
    close() {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

async function act(behaviour: Behaviour, asked: ModelRequest, request: IncomingMessage, response: ServerResponse): Promise<void> {
  switch (behaviour.kind) {
    case 'status':
      response.writeHead(behaviour.status, { 'content-type': 'application/json', ...behaviour.headers });
      response.end(behaviour.body ?? JSON.stringify({ error: { message: `status ${behaviour.status}` } }));
      return;
    case 'silent':
      return;
    case 'cut':
      if (behaviour.when === 'before') request.socket.destroy();
      else {
        begin(response);
        if (behaviour.when === 'half')
          for (const part of halves(behaviour.text ?? '{"a": 1}').slice(0, 1)) send(response, chunk(asked, { content: part }));
        await new Promise<void>((resolve) => response.write(': \n\n', () => resolve()));
        request.socket.destroy();
      }
      return;
    case 'hold':
      behaviour.waiting?.();
      await behaviour.go;
      answer(response, asked, { kind: 'answer', text: behaviour.text });
      return;
    case 'answer':
      if (behaviour.delayMs !== undefined) await new Promise((resolve) => setTimeout(resolve, behaviour.delayMs));
      if (behaviour.whole) wholeAnswer(response, asked, behaviour);
      else answer(response, asked, behaviour);
  }
}

const USAGE = { prompt_tokens: 1_000, completion_tokens: 200, total_tokens: 1_200 };
const begin = (response: ServerResponse) => response.writeHead(200, { 'content-type': 'text/event-stream' });
const send = (response: ServerResponse, data: unknown) => response.write(`data: ${JSON.stringify(data)}\n\n`);
const chunk = (asked: ModelRequest, delta: Record<string, unknown>, finishReason: string | null = null) => ({
  id: 'chatcmpl-1',
  object: 'chat.completion.chunk',
  created: 1,
  model: `${asked.model}-2026`,
  choices: [{ index: 0, delta, finish_reason: finishReason }],
});
const halves = (text: string): string[] => [text.slice(0, text.length / 2), text.slice(text.length / 2)];

function wholeAnswer(
  response: ServerResponse,
  asked: ModelRequest,
  { text, usage, finishReason, refusal }: Extract<Behaviour, { kind: 'answer' }>,
): void {
  const message = { role: 'assistant', content: text, refusal: refusal ?? null };
  response.writeHead(200, { 'content-type': 'application/json; charset=utf-8' });
  response.end(
    JSON.stringify({
      ...chunk(asked, {}),
      object: 'chat.completion',
      choices: [{ index: 0, message, finish_reason: finishReason ?? 'stop' }],
      ...(usage === null ? {} : { usage: usage ?? USAGE }),
    }),
  );
}

function answer(
  response: ServerResponse,
  asked: ModelRequest,
  { text, usage, finishReason, refusal, searchResults, head }: Extract<Behaviour, { kind: 'answer' }>,
): void {
  begin(response);
  for (const part of halves(text)) send(response, chunk(asked, { content: part }));
  if (refusal !== undefined) send(response, chunk(asked, { refusal }));
  send(response, {
    ...chunk(asked, {}, finishReason ?? 'stop'),
    ...head,
    ...(searchResults === undefined ? {} : { search_results: searchResults }),
  });
  if (usage !== null)
    send(response, {
      ...chunk(asked, {}),
      ...head,
      choices: [],
      usage: usage ?? USAGE,
    });
  response.end('data: [DONE]\n\n');
}
