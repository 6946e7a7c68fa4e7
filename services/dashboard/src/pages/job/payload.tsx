import { Panel } from '../../parts/panel.tsx';
import { Loaded } from '../../parts/states.tsx';
import { Copy } from '../../parts/words.tsx';
import { type Detail, indented, usePayloadText } from './queries.ts';

/** What it was asked for and what came of it, digit for digit. */
export function Payload({ job }: { job: Detail }) {
  const query = usePayloadText(job.id);
  return (
    <Panel title="Payload and result">
      <Loaded query={query}>
        {({ payload, result }) => (
          <div className="panel-body stack">
            <Text name="Payload" json={payload} isOpen />
            <Text name="Result" json={result} isOpen={false} />
          </div>
        )}
      </Loaded>
    </Panel>
  );
}

function Text({ name, json, isOpen }: { name: string; json: string | undefined; isOpen: boolean }) {
  if (json === undefined || json === 'null') return <p className="dim">{name}: none</p>;
  return (
    <details open={isOpen}>
      <summary>{name}</summary>
      <Copy text={json} name={`the ${name.toLowerCase()}`} />
      <pre className="json" tabIndex={0}>
        {indented(json)}
      </pre>
    </details>
  );
}
