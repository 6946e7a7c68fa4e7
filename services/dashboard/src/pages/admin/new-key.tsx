import { Button, Checkbox, Modal, TextInput } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { type FormEvent, useState } from 'react';
import { answer, api } from '../../data/client.ts';
import { useFocusBack } from '../../parts/focus-back.ts';
import { Failure } from '../../parts/states.tsx';
import { changed } from './queries.ts';
import { Secret } from './secret.tsx';

const SCOPES = {
  read: 'sees everything, changes nothing',
  login: 'reports logins',
  jobs: 'asks for jobs, cancels and starts them again',
  admin: 'everything, keys too',
};

/** Makes a key and shows its secrets once. */
export function NewKey({ close }: { close: () => void }) {
  useFocusBack();
  const [name, setName] = useState('');
  const [scopes, setScopes] = useState<ReadonlySet<string>>(new Set(['read']));
  const [user, setUser] = useState('');
  const [end, setEnd] = useState('');
  const all = [...scopes, ...(user.trim() === '' ? [] : [`user:${user.trim()}`])];
  const make = useMutation({
    mutationFn: () =>
      answer(
        api.POST('/v1/keys', {
          body: { name: name.trim(), scopes: all, ...(end !== '' && { expires_at: new Date(`${end}T23:59:59`).toISOString() }) },
        }),
      ),
    onSettled: () => changed('keys'),
  });
  const toggle = (scope: string) => {
    const next = new Set(scopes);
    if (!next.delete(scope)) next.add(scope);
    setScopes(next);
  };
  return (
    <Modal opened onClose={close} title="New key" closeButtonProps={{ 'aria-label': 'Close' }}>
      {make.data ? (
        <Made secrets={make.data} close={close} />
      ) : (
        <form
          className="stack"
          onSubmit={(event: FormEvent) => {
            event.preventDefault();
            make.mutate();
          }}
        >
          <TextInput
            label="Name"
            description="The program or person that uses it"
            required
            value={name}
            onChange={({ currentTarget }) => setName(currentTarget.value)}
          />
          <fieldset className="scopes">
            <legend>Scopes</legend>
            {Object.entries(SCOPES).map(([scope, about]) => (
              <Checkbox key={scope} size="xs" label={`${scope}: ${about}`} checked={scopes.has(scope)} onChange={() => toggle(scope)} />
            ))}
          </fieldset>
          <TextInput
            label="Of one user"
            description="Sees and does what concerns this user, beside the scopes above"
            value={user}
            onChange={({ currentTarget }) => setUser(currentTarget.value)}
          />
          <TextInput
            type="date"
            label="Last day"
            description="Without one it has no end"
            value={end}
            onChange={({ currentTarget }) => setEnd(currentTarget.value)}
          />
          {make.error && <Failure error={make.error} />}
          <div className="actions">
            <Button variant="default" onClick={close}>
              Leave it
            </Button>
            <Button
              type="submit"
              loading={make.isPending}
              disabled={all.length === 0}
              title={all.length === 0 ? 'Choose a scope.' : undefined}
            >
              Make the key
            </Button>
          </div>
        </form>
      )}
    </Modal>
  );
}

function Made({ secrets: { key, signing_secret }, close }: { secrets: { key: string; signing_secret: string }; close: () => void }) {
  return (
    <div role="status">
      <p>These are shown this once:</p>
      <Secret name="Key" text={key} />
      <Secret name="Webhook secret" text={signing_secret} />
      <div className="actions">
        <Button onClick={close}>Close</Button>
      </div>
    </div>
  );
}
