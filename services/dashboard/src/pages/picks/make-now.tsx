import { Button, Modal } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { useState } from 'react';
import { answer, api, queries } from '../../data/client.ts';
import { lacks, mayForUser, useMe } from '../../data/session.ts';
import { Facts } from '../../parts/panel.tsx';
import { Failure, Loading } from '../../parts/states.tsx';
import { usePrice, useSpend } from './queries.ts';
import { leftOf } from './spend.tsx';
import { dollars } from './words.ts';

/** Asks for a report of this week; what it may cost is shown and agreed to first. */
export function MakeNow({ user }: { user: string }) {
  const { data: me } = useMe();
  const [isAsking, setAsking] = useState(false);
  const mayMake = mayForUser(me, 'jobs', user);
  return (
    <>
      <Button size="xs" disabled={!mayMake} title={mayMake ? undefined : lacks('jobs')} onClick={() => setAsking(true)}>
        Make now …
      </Button>
      <Modal opened={isAsking} onClose={() => setAsking(false)} title={`A report for ${user}`} closeButtonProps={{ 'aria-label': 'Close' }}>
        <Agree user={user} close={() => setAsking(false)} />
      </Modal>
    </>
  );
}

function Agree({ user, close }: { user: string; close: () => void }) {
  const path = { params: { path: { id: user } } };
  const price = usePrice(user);
  const spend = useSpend(user);
  const make = useMutation({
    async mutationFn(agreed: number) {
      await answer(api.POST('/v1/users/{id}/picks', { ...path, body: { price_usd: agreed } as never }));
    },
    async onSuccess() {
      await queries.invalidateQueries({ queryKey: ['picks'] });
      close();
    },
  });
  const left = spend.data && leftOf(spend.data);
  const { data, error } = price;
  const isOver = data !== undefined && left !== undefined && data.price_usd > left;
  return (
    <div className="stack">
      {error && <Failure error={error} retry={price.refetch} />}
      {data === undefined && !error && <Loading lines={2} />}
      {data && (
        <Facts
          of={[
            ['Week', `of ${data.week_of}`],
            [
              'Price',
              <strong key="price" data-testid="price">
                {data.price_usd === 0 ? 'nothing: no language model is configured' : `at most ${dollars(data.price_usd)}`}
              </strong>,
            ],
            ...(data.model === null ? [] : [['Words by', data.model] as const]),
            ...(left === undefined ? [] : [['Left of the cap', dollars(left)] as const]),
          ]}
        />
      )}
      {isOver && <p className="reason">The cap does not allow this call: the report is made without a model's words, and costs nothing.</p>}
      <p className="dim">The last good report stays until the new one is whole.</p>
      {make.error && <Failure error={make.error} />}
      <div className="actions">
        <Button variant="default" onClick={close}>
          Leave it
        </Button>
        <Button disabled={data === undefined} loading={make.isPending} onClick={() => data && make.mutate(data.price_usd)}>
          {data === undefined || data.price_usd === 0 ? 'Make it' : `Make it for at most ${dollars(data.price_usd)}`}
        </Button>
      </div>
    </div>
  );
}
