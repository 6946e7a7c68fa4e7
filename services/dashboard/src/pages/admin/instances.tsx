import { answer, api } from '../../data/client.ts';
import { age, secondsBetween } from '../../format/times.ts';
import { useNow } from '../../parts/now.ts';
import { Panel } from '../../parts/panel.tsx';
import { Empty, Loaded } from '../../parts/states.tsx';
import { Table } from '../../parts/table.tsx';
import { Confirm } from './confirm.tsx';
import { LastChange } from './last-change.tsx';
import { changed, useWorkers } from './queries.ts';

/** Services that are alive. One may be told to finish its work and end. */
export function Instances() {
  const now = useNow(1_000);
  return (
    <Panel title="Instances" aside={<LastChange action="instance.drain" words="Last ended" />}>
      <Loaded query={useWorkers()}>
        {({ instances }) =>
          instances.length === 0 ? (
            <Empty title="No instance is alive" />
          ) : (
            <Table
              name="Instances"
              rows={instances}
              rowKey={({ instance }) => instance}
              sort={{ id: 'service' }}
              columns={[
                { id: 'service', title: 'Service', by: ({ service }) => service, cell: ({ service }) => service },
                {
                  id: 'instance',
                  title: 'Instance',
                  grow: true,
                  by: ({ instance }) => instance,
                  cell: ({ instance }) => <code>{instance}</code>,
                },
                { id: 'version', title: 'Version', cell: ({ version }) => version ?? '–' },
                {
                  id: 'runs',
                  title: 'Runs',
                  align: 'right',
                  by: ({ running }) => running,
                  cell: ({ service, running, capacity }) => (service === 'worker' ? `${running}/${capacity ?? '–'}` : '–'),
                },
                {
                  id: 'heard',
                  title: 'Heard',
                  hint: 'How long ago it was heard of',
                  align: 'right',
                  cell: ({ heartbeat_at }) => age(secondsBetween(heartbeat_at, now)),
                },
                {
                  id: 'drain',
                  title: 'End',
                  align: 'right',
                  cell: ({ instance, service, running }) => (
                    <Confirm
                      name="End"
                      about={instance}
                      title={`End ${instance}`}
                      right="admin"
                      run={() =>
                        answer(api.POST('/v1/workers/{instance}/drain', { params: { path: { instance } }, body: null })).then(() =>
                          changed('workers'),
                        )
                      }
                    >
                      <p>
                        {service === 'worker'
                          ? `It takes no more jobs, finishes what it can of ${running} within its grace period and hands the rest back.`
                          : 'It finishes what it has begun and ends.'}{' '}
                        Whoever supervises it may start it again.
                      </p>
                    </Confirm>
                  ),
                },
              ]}
            />
          )
        }
      </Loaded>
    </Panel>
  );
}
