/** Requests to the gateway over connections that stay open. */
import { Agent, type OutgoingHttpHeaders, request } from 'node:http';

export interface Answer {
  status: number;
  type: string;
  body: string;
}

export interface Client {
  ask(method: string, path: string, options?: { headers?: OutgoingHttpHeaders; body?: string | Buffer | undefined }): Promise<Answer>;
  close(): void;
}

/** An event stream is cut when its head has come. */
export function clientOf(url: string, key: string): Client {
  const agent = new Agent({ keepAlive: true, maxSockets: 32 });
  return {
    ask(method, path, { headers = {}, body } = {}) {
      const { promise, resolve, reject } = Promise.withResolvers<Answer>();
      const sent = request(url, { agent, method, path, headers: { authorization: `Bearer ${key}`, ...headers } }, (response) => {
        const type = response.headers['content-type'] ?? '';
        const status = response.statusCode ?? 0;
        if (type.startsWith('text/event-stream')) {
          response.on('error', () => {});
          resolve({ status, type, body: '' });
          sent.destroy();
          return;
        }
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => resolve({ status, type, body: Buffer.concat(chunks).toString() }));
      });
      sent.on('error', reject);
      sent.end(body);
      return promise;
    },
    close: () => agent.destroy(),
  };
}
