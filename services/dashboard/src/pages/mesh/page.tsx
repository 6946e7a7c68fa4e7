import './mesh.css';
import { Link, useSearch } from '@tanstack/react-router';
import { lazy, Suspense } from 'react';
import { may, useMe } from '../../data/session.ts';
import { Forbidden } from '../../parts/states.tsx';
import { usePageTitle } from '../../parts/title.ts';
import { Alerts } from './alerts.tsx';
import { Feed } from './feed.tsx';
import { Queues } from './queues.tsx';
import { Sources } from './sources.tsx';
import { Tiles } from './tiles.tsx';
import { VerdictLine } from './verdict.tsx';
import { Wall } from './wall.tsx';
import { Workers } from './workers.tsx';

// The library that draws them is a tenth of the script of this page; the numbers do not wait for it.
const Charts = lazy(() => import('./charts.tsx'));

/** Is everything fresh, and if not, why. With `wall=1` in the address as a screen on the wall shows it. */
export default function MeshPage() {
  usePageTitle('Mesh');
  const { data: me } = useMe();
  const { wall } = useSearch({ strict: false }) as { wall?: string };
  const charts = (
    <Suspense fallback={<div className="panel charts-room" />}>
      <Charts />
    </Suspense>
  );
  if (!may(me, 'read'))
    return (
      <div className="page mesh">
        <h1>Mesh</h1>
        <Forbidden right="read" />
      </div>
    );
  if (wall === '1') return <Wall charts={charts} />;
  return (
    <div className="page mesh">
      <div className="page-head">
        <h1>Mesh</h1>
        <span className="grow" />
        <Link to="/mesh" search={{ wall: '1' }} title="Large, without navigation, for a screen that nobody touches">
          Wall screen
        </Link>
      </div>
      <VerdictLine />
      <Tiles />
      <div className="columns">
        <Queues />
        <Alerts />
      </div>
      {charts}
      <div className="columns even">
        <Workers />
        <Sources />
      </div>
      <Feed />
    </div>
  );
}
