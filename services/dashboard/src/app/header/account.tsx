import { lazy, Suspense, useState } from 'react';
import type { Me } from '../../data/session.ts';

const AccountMenu = lazy(() => import('./account-menu.tsx'));

/** The name of the key; its menu is loaded when it is opened for the first time. */
export function Account({ me }: { me: Me }) {
  const [isAsked, setAsked] = useState(false);
  const button = (
    <button type="button" className="account" aria-haspopup="menu" aria-expanded={false} onClick={() => setAsked(true)}>
      <span className="account-name">{me.key.name}</span> ▾
    </button>
  );
  return isAsked ? (
    <Suspense fallback={button}>
      <AccountMenu me={me} />
    </Suspense>
  ) : (
    button
  );
}
