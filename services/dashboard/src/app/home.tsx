import { Navigate } from '@tanstack/react-router';
import { may, useMe } from '../data/session.ts';

/** Where everybody begins: the mesh for a key that may see it, else the portfolio of the key's user, or the list of its users. */
export function Home() {
  const { data: me } = useMe();
  const [user, ...others] = me?.users ?? [];
  if (!may(me, 'read') && others.length > 0) return <Navigate to="/portfolios" replace />;
  if (!may(me, 'read') && user !== undefined) return <Navigate to="/portfolios/$user" params={{ user }} replace />;
  return <Navigate to="/mesh" replace />;
}
