import { exact } from '../../format/numbers.ts';
import { Facts, Panel } from '../../parts/panel.tsx';
import type { Metadata, Report } from './queries.ts';

/** Sources, method and limits: what must stand with the report. */
export function Fine({ report, metadata: { disclosures } }: { report: Report; metadata: Metadata }) {
  const { citations, dropped, universe, relaxed, profile } = report;
  const excluded = Object.entries(universe.excluded).map(([reason, count]) => `${exact(count)} ${reason.replaceAll('_', ' ')}`);
  return (
    <div className="columns even">
      <Panel title="Citations and data">
        <div className="panel-body stack">
          {citations.length === 0 ? (
            <p className="dim">No page of the web was read: every number is a stored fact, with its source beside it.</p>
          ) : (
            <ol className="citations">
              {citations.map(({ title, url, date }) => (
                <li key={url}>
                  <a href={url} rel="noreferrer" target="_blank">
                    {title}
                  </a>{' '}
                  <span className="dim">{date} found by the model, not checked</span>
                </li>
              ))}
            </ol>
          )}
          <Facts
            of={[
              ['Universe', `${exact(universe.size)} symbols, ${exact(universe.eligible)} could be picked`],
              ['Left out', excluded.length === 0 ? 'none' : excluded.join(', ')],
              ['Profile', `${profile.risk_tolerance}, ${profile.timeline}, at most $${profile.monthly_budget} a share`],
              ['Relaxed', relaxed.length === 0 ? 'nothing' : relaxed.join(', ').replaceAll('_', ' ')],
            ]}
          />
          {dropped.length > 0 && (
            <details>
              <summary>{dropped.length} sentences of the model were left out</summary>
              <ul>
                {dropped.map(({ where, text, violation }) => (
                  <li key={`${where} ${text}`}>
                    “{text}” <span className="dim">({violation})</span>
                  </li>
                ))}
              </ul>
            </details>
          )}
        </div>
      </Panel>
      <Panel title="Read this with it">
        <ul className="disclosures">
          {disclosures.map(({ id, text }) => (
            <li key={id}>{text}</li>
          ))}
        </ul>
      </Panel>
    </div>
  );
}
