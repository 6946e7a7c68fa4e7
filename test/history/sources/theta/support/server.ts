/** The part that the test servers of both versions have in common: faults, the limit of the account, counting. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';

/** What goes wrong with the requests that match. */
export type Fault = {
  /** Of path and query; all but the status of the terminal by default. */
  on?: RegExp;
  /** How many requests meet it; 1 by default. */
  times?: number;
} & (
  | { status: number; text?: string }
  /** `connection`: reset in the middle of the answer. `line`: ends in order in the middle of a line. `nothing`: reset before the answer. */
  | { cut: 'connection' | 'line' | 'nothing' }
  /** Answered when this is resolved. */
  | { hold: Promise<unknown> }
  /** v2: the page that comes next has the address of this one, or its content. */
  | { page: 'repeats' | 'same' }
  /** Any other answer with status 200. */
  | { body: string }
);

export interface Reply {
  status: number;
  /** Lines with their ends, or a text. */
  body: string;
  headers?: Record<string, string>;
}

export interface TestServer {
  /** Ends with the version. */
  readonly url: string;
  readonly port: number;
  /** Path and query of each request, those of the terminal's status left out. */
  readonly requests: readonly string[];
  /** The status of each of them, in the order of their ends. */
  readonly statuses: readonly number[];
  /** The most requests that were open at once, and the most that were worked on. */
  readonly mostAtOnce: number;
  readonly refused: number;
  fault(fault: Fault): void;
  /** Faults from now on are those. */
  clearFaults(): void;
  /** Forgets the requests. */
  forget(): void;
  /** Like a process that is killed: connections are reset, the port is free. */
  close(): Promise<void>;
}

export interface ServerOptions {
  version: 'v2' | 'v3';
  statusPath: string;
  /** What the terminal says of its connection. */
  state?: string | undefined;
  port?: number | undefined;
  /** Requests that are worked on at once; 16 more wait, all others are refused with 429. */
  limit: number;
  queue?: number | undefined;
  /** Milliseconds that each answer takes. */
  answerMs?: number | undefined;
  /** As chunks, and not with a length. */
  chunked: boolean;
  faults?: readonly Fault[] | undefined;
  reply(url: URL, page: 'repeats' | 'same' | undefined): Reply;
}

export async function startServer(options: ServerOptions): Promise<TestServer> {
  const { version, statusPath, state = 'CONNECTED', limit, queue = 16, answerMs = 0, reply } = options;
  const faults: (Fault & { left: number })[] = (options.faults ?? []).map((fault) => ({ ...fault, left: fault.times ?? 1 }));
  const seen = { requests: [] as string[], statuses: [] as number[], open: 0, mostAtOnce: 0, refused: 0 };
  const queued: (() => void)[] = [];
  let working = 0;

  const matching = (path: string): Fault | undefined => {
    const found = faults.find(({ on, left }) => left > 0 && (on === undefined || on.test(path)));
    if (found !== undefined) found.left--;
    return found;
  };
  const end = (response: ServerResponse, status: number, body: string, headers: Record<string, string> = {}): void => {
    seen.statuses.push(status);
    response.writeHead(status, {
      'content-type': 'text/plain',
      ...(!options.chunked && { 'content-length': Buffer.byteLength(body) }),
      ...headers,
    });
    response.end(body);
  };

  async function answer(request: IncomingMessage, response: ServerResponse, path: string): Promise<void> {
    const fault = matching(path);
    if (answerMs > 0) await new Promise((resolve) => setTimeout(resolve, answerMs));
    if (fault !== undefined && 'hold' in fault) await fault.hold;
    if (fault !== undefined && 'status' in fault) return end(response, fault.status, fault.text ?? `error ${fault.status}`);
    if (fault !== undefined && 'body' in fault) return end(response, 200, fault.body);
    const cut = fault !== undefined && 'cut' in fault ? fault.cut : undefined;
    if (cut === 'nothing') return void request.socket.resetAndDestroy();
    const { status, body, headers } = reply(
      new URL(path, 'http://server'),
      fault !== undefined && 'page' in fault ? fault.page : undefined,
    );
    if (cut === 'line') return end(response, status, body.slice(0, -4), headers);
    if (cut === undefined) return end(response, status, body, headers);
    response.writeHead(status, options.chunked ? headers : { ...headers, 'content-length': Buffer.byteLength(body) });
    response.write(body.slice(0, body.length / 2), () => request.socket.resetAndDestroy());
  }

  const server = createServer((request, response) => {
    const path = request.url!;
    if (path === statusPath) return void response.end(state);
    seen.requests.push(path);
    seen.open++;
    seen.mostAtOnce = Math.max(seen.mostAtOnce, seen.open);
    response.on('close', () => {
      seen.open--;
    });
    const work = (): void => {
      working++;
      void answer(request, response, path).finally(() => {
        working--;
        queued.shift()?.();
      });
    };
    if (working < limit) work();
    else if (queued.length < queue) queued.push(work);
    else {
      seen.refused++;
      end(response, 429, 'Too many concurrent requests');
    }
  });
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => undefined);
  });
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(options.port ?? 0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/${version}`,
    port,
    get requests() {
      return seen.requests;
    },
    get statuses() {
      return seen.statuses;
    },
    get mostAtOnce() {
      return seen.mostAtOnce;
    },
    get refused() {
      return seen.refused;
    },
    fault: (fault) => void faults.push({ ...fault, left: fault.times ?? 1 }),
    clearFaults: () => void faults.splice(0),
    forget() {
      Object.assign(seen, { requests: [], statuses: [], mostAtOnce: seen.open, refused: 0 });
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.resetAndDestroy();
      }),
  };
}
