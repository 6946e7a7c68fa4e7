import { Modal, TextInput } from '@mantine/core';
import { useDebouncedValue } from '@mantine/hooks';
import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { type KeyboardEvent, useId, useState } from 'react';
import { answer, api } from '../../data/client.ts';
import { useFocusBack } from '../../parts/focus-back.ts';

interface Found {
  key: string;
  kind: string;
  text: string;
  to: string;
  search?: Record<string, string>;
}

export default function FinderDialog({ close }: { close: () => void }) {
  useFocusBack();
  return (
    <Modal opened onClose={close} title="Find" size="md" closeButtonProps={{ 'aria-label': 'Close' }}>
      <FinderList close={close} />
    </Modal>
  );
}

function FinderList({ close }: { close: () => void }) {
  const [text, setText] = useState('');
  const [index, setIndex] = useState(0);
  const [asked] = useDebouncedValue(text.trim(), 150);
  const navigate = useNavigate();
  const id = useId();
  const { data: found = [] } = useQuery({
    queryKey: ['find', asked],
    enabled: asked !== '',
    placeholderData: keepPreviousData,
    queryFn: ({ signal }) => find(asked, signal),
  });
  const shown = asked === '' ? [] : found;
  const go = ({ to, search }: Found): void => {
    close();
    void navigate({ to, search: search ?? {} });
  };
  function key(event: KeyboardEvent): void {
    if (event.key === 'ArrowDown') setIndex(Math.min(index + 1, shown.length - 1));
    else if (event.key === 'ArrowUp') setIndex(Math.max(index - 1, 0));
    else if (event.key === 'Enter' && shown[index]) go(shown[index]);
    else return;
    event.preventDefault();
  }
  return (
    <>
      <TextInput
        aria-label="Symbol, user or id of a job"
        placeholder="AAPL, alice, 0199…"
        value={text}
        onChange={({ currentTarget }) => {
          setText(currentTarget.value);
          setIndex(0);
        }}
        onKeyDown={key}
        role="combobox"
        aria-expanded={shown.length > 0}
        aria-controls={id}
        aria-activedescendant={shown[index] && `${id}-${index}`}
        autoComplete="off"
        data-autofocus
      />
      <div id={id} role="listbox" aria-label="Found" className="found">
        {shown.map((one, at) => (
          // biome-ignore lint/a11y/useKeyWithClickEvents: the field above hears the keys
          <div
            key={one.key}
            id={`${id}-${at}`}
            role="option"
            tabIndex={-1}
            aria-selected={at === index}
            className="found-row"
            onClick={() => go(one)}
          >
            <span className="dim">{one.kind}</span> {one.text}
          </div>
        ))}
      </div>
      {asked !== '' && shown.length === 0 && <p className="dim">Nothing begins with “{asked}”.</p>}
    </>
  );
}

async function find(q: string, signal: AbortSignal): Promise<Found[]> {
  const { symbols, users, jobs } = await answer(api.GET('/v1/find', { params: { query: { q } }, signal }));
  return [
    ...symbols.map((symbol) => ({ key: `s ${symbol}`, kind: 'symbol', text: symbol, to: `/symbols/${symbol}` })),
    ...users.map((user) => ({ key: `u ${user}`, kind: 'user', text: user, to: `/portfolios/${encodeURIComponent(user)}` })),
    ...jobs.map(({ id, type, symbol, state }) => ({
      key: `j ${id}`,
      kind: 'job',
      text: `${type} ${symbol ?? ''} · ${state} · ${id}`,
      to: `/jobs/${id}`,
    })),
  ];
}
