/** Adds, changes or removes a position. The list is written as a whole, from the version that was read: somebody else's change meanwhile is never overwritten. */
import { Alert, Button, Modal, TextInput } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { type FormEvent, useState } from 'react';
import { ApiError, answer, api, queries } from '../../data/client.ts';
import { Failure } from '../../parts/states.tsx';
import type { Held, OptionPosition } from './queries.ts';
import { contractName, partsOf } from './words.ts';

/** `contract`: with which the form begins. */
export type Target = { kind: 'add'; contract: string } | { kind: 'edit' | 'remove'; id: string };

interface DialogProps {
  user: string;
  symbol: string;
  held: Held;
  target: Target;
  close: () => void;
  refetch: () => Promise<unknown>;
}

type Input = Pick<OptionPosition, 'contract' | 'quantity' | 'entry_price'> & {
  entry_iv?: number;
  entry_spot?: number;
  target?: number;
  stop?: number;
  opened_at?: string;
};

export function PositionDialog({ user, symbol, held, target, close, refetch }: DialogProps) {
  const [version] = useState(held.version);
  const [positions] = useState(held.positions);
  const save = useMutation({
    mutationFn: (all: Input[]) =>
      answer(
        api.PUT('/v1/users/{id}/positions', {
          params: { path: { id: user }, header: { 'if-match': version } },
          body: { positions: all },
        }),
      ),
    onSuccess: () => {
      void queries.invalidateQueries({ queryKey: ['option-positions', user] });
      void queries.invalidateQueries({ queryKey: ['ranking', symbol] });
      close();
    },
  });
  const own = target.kind === 'add' ? undefined : positions.find(({ id }) => id === target.id);
  const others = positions.filter((one) => one !== own).map(inputOf);
  const isChanged = save.error instanceof ApiError && save.error.status === 412;
  const name = own === undefined ? '' : contractName(own.contract);
  const title = { add: 'Add a position', edit: `Change ${name}`, remove: `Remove ${name}` }[target.kind];
  return (
    <Modal opened onClose={close} title={title} size="md" closeButtonProps={{ 'aria-label': 'Close' }}>
      {isChanged && (
        <Alert color="yellow" title="Changed elsewhere" role="alert">
          <p>
            Somebody has changed the positions of {user} meanwhile. Nothing of yours was saved: look again, and make the change from what is
            there now.
          </p>
          <Button
            size="xs"
            variant="default"
            mt="xs"
            onClick={() => {
              void refetch();
              close();
            }}
          >
            Look again
          </Button>
        </Alert>
      )}
      {save.error !== null && !isChanged && <Failure error={save.error} />}
      {target.kind === 'remove' ? (
        <>
          <p>It is taken off the list of {user}. The exit ranking that was made keeps it until the next one.</p>
          <div className="actions">
            <Button size="xs" variant="default" onClick={close}>
              Keep it
            </Button>
            <Button size="xs" color="red" loading={save.isPending} onClick={() => save.mutate(others)}>
              Remove
            </Button>
          </div>
        </>
      ) : (
        <PositionForm
          begin={own === undefined ? { contract: target.kind === 'add' ? target.contract : '' } : own}
          isBusy={save.isPending}
          close={close}
          // In its place: ids ascend with the order.
          save={(input) =>
            save.mutate(own === undefined ? [...others, input] : positions.map((one) => (one === own ? input : inputOf(one))))
          }
        />
      )}
    </Modal>
  );
}

function inputOf({ contract, quantity, entry_price, entry_iv, entry_spot, target, stop, opened_at }: OptionPosition): Input {
  return {
    ...{ contract, quantity, entry_price, opened_at },
    ...(entry_iv !== null && { entry_iv }),
    ...(entry_spot !== null && { entry_spot }),
    ...(target !== null && { target }),
    ...(stop !== null && { stop }),
  };
}

/** `scale`: what is typed is that many times what is stored. */
const NUMBERS = {
  quantity: { label: 'Contracts', isNeeded: true, scale: 1, hint: undefined },
  entry_price: { label: 'Entry price', isNeeded: true, scale: 1, hint: 'Dollars a share' },
  entry_iv: { label: 'Volatility at the entry', isNeeded: false, scale: 100, hint: '% a year' },
  entry_spot: { label: 'Underlying at the entry', isNeeded: false, scale: 1, hint: 'Dollars a share' },
  target: { label: 'Target of the underlying', isNeeded: false, scale: 1, hint: 'Dollars a share' },
  stop: { label: 'Stop', isNeeded: false, scale: 100, hint: 'Loss in % of the entry price' },
} as const;
type NumberName = keyof typeof NUMBERS;
const NUMBER_NAMES = Object.keys(NUMBERS) as NumberName[];

interface FormProps {
  begin: Partial<OptionPosition>;
  isBusy: boolean;
  close: () => void;
  save: (input: Input) => void;
}

function PositionForm({ begin, isBusy, close, save }: FormProps) {
  const [contract, setContract] = useState(begin.contract ?? '');
  const [texts, setTexts] = useState(
    () => Object.fromEntries(NUMBER_NAMES.map((name) => [name, textOf(name, begin[name])])) as Record<NumberName, string>,
  );
  const [isTried, setTried] = useState(false);
  const faults = Object.fromEntries(NUMBER_NAMES.map((name) => [name, faultOf(name, texts[name])])) as Record<
    NumberName,
    string | undefined
  >;
  const parts = partsOf(contract);
  const contractFault = parts === undefined ? 'Underlying, yymmdd, C or P, strike × 1000 in 8 digits: AAPL270115C00250000' : undefined;
  function submit(event: FormEvent): void {
    event.preventDefault();
    setTried(true);
    if (contractFault !== undefined || NUMBER_NAMES.some((name) => faults[name] !== undefined)) return;
    const numbers = NUMBER_NAMES.flatMap((name) => (texts[name].trim() === '' ? [] : [[name, numberOf(name, texts[name])] as const]));
    save({
      contract: contract.trim().toUpperCase(),
      ...(Object.fromEntries(numbers) as Pick<Input, 'quantity' | 'entry_price'>),
      ...(begin.opened_at !== undefined && { opened_at: begin.opened_at }),
    });
  }
  return (
    <form onSubmit={submit} noValidate>
      <TextInput
        size="xs"
        label="Contract"
        description={parts === undefined ? 'Its OCC symbol' : contractName(contract)}
        error={isTried && contractFault}
        value={contract}
        onChange={({ currentTarget }) => setContract(currentTarget.value)}
        data-autofocus={begin.contract ? undefined : true}
      />
      <div className="position-fields">
        {NUMBER_NAMES.map((name) => (
          <TextInput
            key={name}
            size="xs"
            label={NUMBERS[name].label}
            description={NUMBERS[name].hint ?? ' '}
            inputMode="decimal"
            required={NUMBERS[name].isNeeded}
            error={isTried && faults[name]}
            value={texts[name]}
            onChange={({ currentTarget: { value } }) => setTexts((before) => ({ ...before, [name]: value }))}
            data-autofocus={begin.contract && name === 'quantity' ? true : undefined}
          />
        ))}
      </div>
      <div className="actions">
        <Button size="xs" variant="default" onClick={close}>
          Cancel
        </Button>
        <Button size="xs" type="submit" loading={isBusy}>
          Save
        </Button>
      </div>
    </form>
  );
}

const rounded = (value: number): number => Number(value.toPrecision(12));
const textOf = (name: NumberName, value: number | null | undefined): string =>
  value == null ? '' : String(rounded(value * NUMBERS[name].scale));
const numberOf = (name: NumberName, text: string): number => rounded(Number(text.trim().replace(',', '.')) / NUMBERS[name].scale);

function faultOf(name: NumberName, text: string): string | undefined {
  if (text.trim() === '') return NUMBERS[name].isNeeded ? 'Is needed' : undefined;
  const value = numberOf(name, text);
  return Number.isFinite(value) && value > 0 ? undefined : 'A number over 0';
}
