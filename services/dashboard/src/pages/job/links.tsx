import { Link } from '@tanstack/react-router';
import type { Schemas } from '../../data/client.ts';
import { Panel } from '../../parts/panel.tsx';
import { Moment, StateMark } from '../../parts/words.tsx';
import { type Detail, useCallbacks } from './queries.ts';

/** The jobs around this one, and who is called when it ends. */
export function Links({ job }: { job: Detail }) {
  const { data } = useCallbacks(job.id);
  const callbacks = data?.callbacks ?? [];
  if (job.needs.length + job.dependents.length + callbacks.length === 0) return null;
  return (
    <Panel title="Around it">
      <div className="panel-body stack">
        <Jobs name="Needs" of={job.needs} />
        <Jobs name="Needed by" of={job.dependents} />
        {callbacks.length > 0 && (
          <div>
            <h3 className="chart-title">Callbacks</h3>
            {callbacks.map((callback) => (
              <div key={callback.url}>
                <code>{callback.url}</code> {callback.state}{' '}
                {'delivered_at' in callback && <Moment at={callback.delivered_at as string | null} />}
              </div>
            ))}
          </div>
        )}
      </div>
    </Panel>
  );
}

function Jobs({ name, of }: { name: string; of: readonly Schemas['JobLink'][] }) {
  if (of.length === 0) return null;
  return (
    <div>
      <h3 className="chart-title">{name}</h3>
      {of.map(({ id, type, symbol, state, is_part }) => (
        <div key={id}>
          <Link to="/jobs/$id" params={{ id }}>
            {type} {symbol}
          </Link>{' '}
          <StateMark state={state} /> {is_part && <span className="dim">a part of it</span>}
        </div>
      ))}
    </div>
  );
}
