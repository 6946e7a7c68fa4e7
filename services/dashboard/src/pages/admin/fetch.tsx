import { JobForm } from '../../parts/jobs/form.tsx';
import { useJobTypes } from '../../parts/jobs/types.ts';
import { Panel } from '../../parts/panel.tsx';
import { Loaded } from '../../parts/states.tsx';

const FORMS = { fetch: 'A symbol', batch_fetch: 'Many symbols, or a portfolio', backfill: 'A range of days' };

/** What is fetched by hand. The forms are those of the job types, with their own words. */
export function Fetch() {
  return (
    <Loaded query={useJobTypes()}>
      {({ types }) => (
        <div className="thirds">
          {Object.entries(FORMS).flatMap(([name, title]) => {
            const type = types.find((one) => one.name === name);
            if (type === undefined) return [];
            return [
              <Panel key={name} title={title}>
                <div className="panel-body stack">
                  <p className="dim">{type.about}</p>
                  <JobForm type={type} without={name === 'fetch' ? ['from', 'to'] : []} />
                </div>
              </Panel>,
            ];
          })}
        </div>
      )}
    </Loaded>
  );
}
