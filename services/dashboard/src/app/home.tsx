import { Navigate } from '@tanstack/react-router';
import { may, useMe } from '../data/session.ts';

/** Where everybody begins: the mesh for who may see it, else the portfolio of the key's user. */
export function Home() {
  const { data: me } = useMe();
  const [user] = me?.users ?? [];
  if (!may(me, 'read') && user !== undefined) return <Navigate to="/portfolios/$user" params={{ user }} replace />;
  return <Navigate to="/mesh" replace />;
}
