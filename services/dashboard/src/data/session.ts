/** Who is signed in, and signing in and out. */
import { useQuery } from '@tanstack/react-query';
import { ApiError, answer, api, queries, type Schemas } from './client.ts';
import { restartStream, stopStream } from './stream.ts';

export type Me = Schemas['Me'];

/** `null`: nobody. */
export const useMe = () =>
  useQuery({
    queryKey: ['me'],
    staleTime: Number.POSITIVE_INFINITY,
    retry: (times, error) => !(error instanceof ApiError && error.status === 401) && times < 2,
    async queryFn({ signal }): Promise<Me | null> {
      const code = takeCode();
      return code !== undefined ? signIn({ code }) : readMe(signal);
    },
  });

async function readMe(signal?: AbortSignal): Promise<Me | null> {
  try {
    return await answer(api.GET('/v1/me', signal === undefined ? {} : { signal }));
  } catch (error) {
    if (error instanceof ApiError && error.status === 401) return null;
    throw error;
  }
}

let refusal: ApiError | undefined;
/** Why the code of the link was not taken. */
export const codeRefusal = (): ApiError | undefined => refusal;

/** The code of the link that was opened. It leaves the address at once: of use once, and of no use in a history. */
function takeCode(): string | undefined {
  const code = /^#code=(.+)$/.exec(location.hash)?.[1];
  if (code !== undefined) history.replaceState(history.state, '', location.pathname + location.search);
  return code;
}

async function signIn(body: { key: string } | { code: string }): Promise<Me | null> {
  try {
    const me = await answer(api.POST('/v1/session', { body }));
    restartStream();
    return me;
  } catch (error) {
    if (!('code' in body) || !(error instanceof ApiError)) throw error;
    refusal = error;
    return readMe();
  }
}

/** Throws `ApiError`. */
export async function signInWithKey(key: string): Promise<void> {
  queries.setQueryData(['me'], await signIn({ key }));
}

export async function signOut(): Promise<void> {
  await answer(api.DELETE('/v1/session'));
  stopStream();
  queries.setQueryData(['me'], null);
  // Nothing of what one key has seen is left for the next.
  queries.removeQueries({ predicate: ({ queryKey }) => queryKey[0] !== 'me' });
}

export type Right = 'read' | 'jobs' | 'login' | 'admin';

/** Whether the key may do this for all users. */
export const may = (me: Me | null | undefined, right: Right): boolean => me?.may.includes(right) ?? false;
export const mayForUser = (me: Me | null | undefined, right: Right, user: string): boolean =>
  may(me, right) || (right !== 'admin' && (me?.users.includes(user) ?? false));

/** For a button that is disabled. */
export const lacks = (right: Right): string => `The key that you are signed in with lacks the scope "${right}".`;
