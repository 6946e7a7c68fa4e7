/** The page behind the link of a mail, as a browser shows it to somebody who is signed in nowhere. */
import { expect } from 'vitest';
import { fromJson } from '../../services/platform/database/database.ts';
import { unsubscribeLink } from '../../services/platform/notify/unsubscribe.ts';
import { journey, journeys, SCREENS } from './support/journeys.ts';

const PUBLIC = 'https://mesh.example.com';
const { mesh, open } = journeys({
  ...{ 'gateway.public_url': PUBLIC, 'notify.unsubscribe_secret': 'a secret of the tests, which has more than 32 characters' },
});

async function unwanted(): Promise<unknown> {
  const [row] = await mesh.db.rows<{ unwanted: unknown }>("SELECT unwanted FROM notify_users WHERE user_id = 'alice'");
  return row === undefined ? undefined : fromJson(row.unwanted);
}

journey.for(Object.entries(SCREENS))('its button ends the messages, and its next one undoes that: %s', async ([, options]) => {
  await mesh.db.run('DELETE FROM notify_users');
  const link = unsubscribeLink(mesh.config, { who: 'alice', events: ['picks.ready'] })!;
  const { page, expectClean } = await open(link.slice(PUBLIC.length), options);
  await page.getByRole('heading', { name: 'Stop these messages?' }).waitFor();
  await expectClean();
  expect(await unwanted()).toBeUndefined();
  await page.getByRole('button', { name: 'Stop these messages' }).click();
  await page.getByRole('heading', { name: 'These messages are stopped' }).waitFor();
  await expectClean();
  expect(await unwanted()).toEqual(['picks.ready']);
  await page.getByRole('button', { name: 'Send them again' }).click();
  await page.getByRole('heading', { name: 'These messages are sent again' }).waitFor();
  expect(await unwanted()).toEqual([]);
});
