import { lazy, Suspense, useEffect } from 'react';
import { useMe } from '../data/session.ts';
import { openStream } from '../data/stream.ts';
import { Failure } from '../parts/states.tsx';
import { Shell } from './shell.tsx';

const SignIn = lazy(() => import('./sign-in.tsx'));

/** The pages for whoever is signed in, else the form; the address stays. */
export function Root() {
  const { data: me, error, refetch } = useMe();
  useEffect(() => {
    if (me) openStream();
  }, [me]);
  if (error !== null && me === undefined)
    return (
      <main className="alone">
        <Failure error={error} retry={refetch} />
      </main>
    );
  if (me === undefined) return null;
  if (me !== null) return <Shell me={me} />;
  return (
    <Suspense>
      <SignIn />
    </Suspense>
  );
}
