import { usePageTitle } from '../../parts/title.ts';
import { Alerts } from './alerts.tsx';
import { Charts } from './charts.tsx';
import { Feed } from './feed.tsx';
import { Queues } from './queues.tsx';
import { Sources } from './sources.tsx';
import { Tiles } from './tiles.tsx';
import { VerdictLine } from './verdict.tsx';
import { Workers } from './workers.tsx';

/** Is everything fresh, and if not, why. */
export default function MeshPage() {
  usePageTitle('Mesh');
  return (
    <div className="page">
      <div className="page-head">
        <h1>Mesh</h1>
      </div>
      <VerdictLine />
      <Tiles />
      <div className="columns">
        <Queues />
        <Alerts />
      </div>
      <Charts />
      <div className="columns even">
        <Workers />
        <Sources />
      </div>
      <Feed />
    </div>
  );
}
