/** Signs a user in as an application does, and measures until everything that the user holds is fresh. */
import { Button } from '@mantine/core';
import { useMutation, useQuery } from '@tanstack/react-query';
import { answer, api, queries } from '../data/client.ts';
import { lacks, mayForUser, useMe } from '../data/session.ts';
import { wait } from '../format/times.ts';
import { useNow } from './now.ts';

export const useLogins = (user: string) =>
  useQuery({
    queryKey: ['logins', user],
    queryFn: ({ signal }) => answer(api.GET('/v1/users/{id}/logins', { params: { path: { id: user }, query: { limit: 5 } }, signal })),
  });

export type Login = NonNullable<ReturnType<typeof useLogins>['data']>['logins'][number];

export function SignUserIn({ user }: { user: string }) {
  const { data: me } = useMe();
  const login = useMutation({
    mutationFn: () => answer(api.POST('/v1/events/login', { body: { userId: user } })),
    onSettled: () =>
      Promise.all([['logins', user], ['users'], ['portfolio', user]].map((queryKey) => queries.invalidateQueries({ queryKey }))),
  });
  const mayLogin = mayForUser(me, 'login', user);
  return (
    <span className="login">
      <Button
        size="xs"
        variant="default"
        disabled={!mayLogin}
        title={mayLogin ? `Report that ${user} has signed in` : lacks('login')}
        loading={login.isPending}
        onClick={() => login.mutate()}
      >
        Sign {user} in
      </Button>
      {login.error && <span data-tone="bad">{login.error.message}</span>}
    </span>
  );
}

/** The seconds from a login to the end of its last job; they run while it has open ones. */
export function StopWatch({ login }: { login: Pick<Login, 'at' | 'queued' | 'open_jobs' | 'failed_jobs' | 'seconds_to_fresh'> }) {
  const now = useNow(100);
  const { at, queued, open_jobs, failed_jobs, seconds_to_fresh } = login;
  if (seconds_to_fresh !== null) return <strong data-testid="stop-watch">fresh after {wait(seconds_to_fresh)}</strong>;
  if (open_jobs > 0)
    return (
      <strong data-testid="stop-watch">
        {wait((now - new Date(at).getTime()) / 1000)} … {open_jobs} jobs to go
      </strong>
    );
  if (failed_jobs > 0) return <strong data-tone="bad">{failed_jobs} jobs failed</strong>;
  return <strong>{queued === 0 ? 'nothing to fetch: all was fresh' : 'done'}</strong>;
}
