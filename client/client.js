/**
 * The typed client of the HTTP API: `import { createClient } from 'stockmesh/client'`. It needs `fetch` and nothing of Node, so it runs in Node 20 or newer and in browsers.
 * `client.js` is made of this file: `npx vitest run test/client/generated.test.ts -u`.
 */ import createFetchClient from 'openapi-fetch';
import { waitForJob } from './wait.js';
/** An answer that is no success: a problem of RFC 9457. `code` never changes. */ export class ProblemError extends Error {
    status;
    code;
    /** The fields of the request that are not right. */ fields;
    /** Seconds after which it may be tried again, where the gateway said so. */ retryAfterSeconds;
    constructor(status, body, retryAfter){
        const { detail, code, errors } = typeof body === 'object' && body !== null ? body : {};
        super(detail ?? `the gateway answered with status ${status}`);
        this.name = 'ProblemError';
        this.status = status;
        this.code = code ?? 'internal';
        this.fields = errors ?? [];
        this.retryAfterSeconds = retryAfter === null || !/^\d+$/.test(retryAfter) ? undefined : Number(retryAfter);
    }
}
export function createClient({ url, key, fetch }) {
    const api = createFetchClient({
        baseUrl: url.replace(/\/+$/, ''),
        ...key === undefined ? {} : {
            headers: {
                authorization: `Bearer ${key}`
            }
        },
        ...fetch === undefined ? {} : {
            fetch
        }
    });
    const job = (id, signal)=>unwrap(api.GET('/v1/jobs/{id}', {
            params: {
                path: {
                    id
                }
            },
            signal: signal ?? null
        }));
    return {
        api,
        job,
        unwrap,
        async submit (dataset, download, signal) {
            const request = {
                body: download,
                signal: signal ?? null
            };
            const answer = dataset === 'option' ? api.POST('/v1/historical/option', request) : api.POST('/v1/historical/stock', request);
            return await unwrap(answer);
        },
        wait: (id, options = {})=>waitForJob((signal)=>job(id, signal), {
                isTemporary,
                ...options
            })
    };
}
async function unwrap(answer) {
    const { data, error, response } = await answer;
    if (!response.ok) throw new ProblemError(response.status, error, response.headers.get('retry-after'));
    return data;
}
/** A gateway that restarts, is busy or cannot be reached: `fetch` says so with a `TypeError`. */ function isTemporary(error) {
    return error instanceof ProblemError ? error.status >= 500 || error.status === 429 : error instanceof TypeError;
}
export { WaitTimeoutError } from './wait.js';
