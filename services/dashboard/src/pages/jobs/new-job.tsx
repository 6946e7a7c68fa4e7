import { Modal, NativeSelect } from '@mantine/core';
import { useState } from 'react';
import type { Schemas } from '../../data/client.ts';
import { useFocusBack } from '../../parts/focus-back.ts';
import { JobForm } from '../../parts/jobs/form.tsx';
import { useJobTypes } from '../../parts/jobs/types.ts';
import { Loaded } from '../../parts/states.tsx';

/** Asks for a job of any type. */
export default function NewJob({ close }: { close: () => void }) {
  useFocusBack();
  return (
    <Modal opened onClose={close} title="New job" closeButtonProps={{ 'aria-label': 'Close' }}>
      <Loaded query={useJobTypes()}>{({ types }) => <Chosen types={types.filter(({ body }) => body !== null)} />}</Loaded>
    </Modal>
  );
}

function Chosen({ types }: { types: readonly Schemas['JobType'][] }) {
  const [name, setName] = useState(types[0]?.name ?? '');
  const type = types.find((one) => one.name === name);
  return (
    <>
      <NativeSelect
        label="Type"
        description={type?.about}
        value={name}
        onChange={({ currentTarget }) => setName(currentTarget.value)}
        data={types.map((one) => one.name)}
        mb="sm"
      />
      {type && <JobForm key={name} type={type} />}
    </>
  );
}
