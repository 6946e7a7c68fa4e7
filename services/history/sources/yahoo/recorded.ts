/** What was asked of Yahoo. */
import type { Fetch } from '../../../market/sources/http.ts';
import type { SourceRequest } from '../source.ts';

/** A `fetch` that notes each answer, without the caller's crumb. */
export function recorded(fetch: Fetch): { fetch: Fetch; requests: SourceRequest[] } {
  const requests: SourceRequest[] = [];
  return {
    requests,
    async fetch(input, init) {
      const response = await fetch(input, init);
      const body = await response.text();
      const url = new URL(input instanceof Request ? input.url : input);
      url.searchParams.delete('crumb');
      requests.push({ url: url.href, status: response.status, bytes: Buffer.byteLength(body) });
      return new Response(body === '' ? null : body, { status: response.status, headers: response.headers });
    },
  };
}
