import { Alert, Anchor, Button, Code, PasswordInput, Stack, Text, Title } from '@mantine/core';
import { type FormEvent, useState } from 'react';
import type { ApiError } from '../data/client.ts';
import { codeRefusal, signInWithKey } from '../data/session.ts';
import { Logo } from './logo.tsx';

export default function SignIn() {
  const [key, setKey] = useState('');
  const [error, setError] = useState<ApiError | undefined>(codeRefusal);
  const [isBusy, setBusy] = useState(false);

  async function submit(event: FormEvent): Promise<void> {
    event.preventDefault();
    setBusy(true);
    try {
      await signInWithKey(key.trim());
    } catch (reason) {
      setError(reason as ApiError);
      setBusy(false);
    }
  }

  return (
    <main className="alone">
      <form onSubmit={submit}>
        <Stack gap="md">
          <Logo />
          <Title order={1}>Sign in</Title>
          <Text c="dimmed">
            Run <Code>npx stockmesh dashboard</Code> in the folder of the installation and open the link that it prints, or paste a key.
          </Text>
          {error && (
            <Alert color="red" title={error.title} role="alert">
              {error.message}
            </Alert>
          )}
          <PasswordInput
            label="Key"
            description="It is exchanged for a cookie that scripts cannot read; the page does not keep it."
            value={key}
            onChange={({ currentTarget }) => setKey(currentTarget.value)}
            autoComplete="off"
            required
            data-autofocus
          />
          <Button type="submit" loading={isBusy}>
            Sign in
          </Button>
          <Text size="sm" c="dimmed">
            <Code>npx stockmesh key create</Code> makes a key.{' '}
            <Anchor href="/docs" underline="always">
              The HTTP API
            </Anchor>
          </Text>
        </Stack>
      </form>
    </main>
  );
}
