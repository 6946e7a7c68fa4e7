import { Menu, useMantineColorScheme } from '@mantine/core';
import { type Me, signOut } from '../../data/session.ts';
import { setTimeStyle, TIME_STYLES, type TimeStyle, useTimeStyle } from '../../parts/time-style.ts';

const SCHEMES = { auto: 'As the system', light: 'Light', dark: 'Dark' } as const;

/** Opens with the click that loads it. */
export default function AccountMenu({ me }: { me: Me }) {
  const { colorScheme, setColorScheme } = useMantineColorScheme();
  const times = useTimeStyle();
  return (
    <Menu position="bottom-end" transitionProps={{ duration: 0 }} defaultOpened>
      <Menu.Target>
        <button type="button" className="account">
          <span className="account-name">{me.key.name}</span> ▾
        </button>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label>Scopes: {me.scopes.join(', ')}</Menu.Label>
        <Menu.Divider />
        <Menu.Label>Colours</Menu.Label>
        {(Object.keys(SCHEMES) as (keyof typeof SCHEMES)[]).map((scheme) => (
          <Choice key={scheme} name={SCHEMES[scheme]} isChosen={scheme === colorScheme} choose={() => setColorScheme(scheme)} />
        ))}
        <Menu.Label>Times</Menu.Label>
        {(Object.keys(TIME_STYLES) as TimeStyle[]).map((style) => (
          <Choice key={style} name={TIME_STYLES[style]} isChosen={style === times} choose={() => setTimeStyle(style)} />
        ))}
        <Menu.Divider />
        <Menu.Item onClick={() => void signOut()}>Sign out</Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}

function Choice({ name, isChosen, choose }: { name: string; isChosen: boolean; choose: () => void }) {
  return (
    <Menu.Item onClick={choose} role="menuitemradio" aria-checked={isChosen}>
      {isChosen ? '● ' : '○ '}
      {name}
    </Menu.Item>
  );
}
