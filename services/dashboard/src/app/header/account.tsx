import { useMantineColorScheme } from '@mantine/core';
import { type Me, signOut } from '../../data/session.ts';
import { setTimeStyle, TIME_STYLES, type TimeStyle, useTimeStyle } from '../../parts/time-style.ts';

const SCHEMES = { auto: 'As the system', light: 'Light', dark: 'Dark' } as const;
type Scheme = keyof typeof SCHEMES;

/** The name of the key, and what opens under it; the browser closes it by Esc or a press beside it and gives the focus back. */
export function Account({ me }: { me: Me }) {
  const { colorScheme, setColorScheme } = useMantineColorScheme();
  return (
    <>
      <button type="button" className="account" popoverTarget="account">
        <span className="account-name">{me.key.name}</span> ▾
      </button>
      <div id="account" popover="auto" className="account-panel" role="group" aria-label="Account">
        <p className="dim">Scopes: {me.scopes.join(', ')}</p>
        <Choice name="Colours" of={SCHEMES} chosen={colorScheme as Scheme} choose={setColorScheme} />
        <Choice name="Times" of={TIME_STYLES} chosen={useTimeStyle()} choose={(style: TimeStyle) => setTimeStyle(style)} />
        <button type="button" className="tab" onClick={() => void signOut()}>
          Sign out
        </button>
      </div>
    </>
  );
}

interface ChoiceProps<T extends string> {
  name: string;
  of: Record<T, string>;
  chosen: T;
  choose: (value: T) => void;
}

function Choice<T extends string>({ name, of, chosen, choose }: ChoiceProps<T>) {
  return (
    <fieldset className="choice">
      <legend>{name}</legend>
      {(Object.keys(of) as T[]).map((value) => (
        <label key={value}>
          <input type="radio" name={name} checked={value === chosen} onChange={() => choose(value)} /> {of[value]}
        </label>
      ))}
    </fieldset>
  );
}
