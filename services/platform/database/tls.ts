/** Encryption of the connections to the database, as configured. */
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import type mysql from 'mysql2/promise';
import { ConfigError, messageOf } from '../errors.ts';
import type { TlsMode } from './url.ts';

/** `database.tls`: paths of files. */
interface TlsFiles {
  readonly mode: TlsMode;
  readonly ca_file: string | null;
  readonly cert_file: string | null;
  readonly key_file: string | null;
}

/** PEM texts. Every connection is encrypted, or there is none. */
export interface DatabaseTls {
  /** What the server must show: nothing, a certificate of a trusted authority, or one that also names the host that was asked. */
  readonly verify: 'nothing' | 'authority' | 'identity';
  /** The trusted authorities; without them those that Node comes with. */
  readonly ca?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
}

const bad = (text: string, cause?: unknown): ConfigError => new ConfigError('database.bad_tls', text, { cause });

/** Undefined: not encrypted. The files are read and looked at here, since the driver meets a wrong one in the middle of a handshake. Errors: `ConfigError('database.bad_tls')`. */
export function databaseTls({ mode, ca_file, cert_file, key_file }: TlsFiles, { socket }: { socket: boolean }): DatabaseTls | undefined {
  const given = Object.entries({ ca_file, cert_file, key_file }).find(([, file]) => file !== null)?.[0];
  if (mode === 'disabled') {
    if (given === undefined) return undefined;
    throw bad(
      `database.tls.${given} is set, but database.tls.mode is "disabled", so nothing would be encrypted: set the mode (ssl-mode in database.url) to verify_identity, verify_ca or required`,
    );
  }
  if (socket)
    throw bad(
      `database.tls.mode is "${mode}", but the database is reached by a socket, which never leaves this machine: set it to disabled`,
    );
  if (mode === 'required' && ca_file !== null)
    throw bad(
      'database.tls.mode "required" does not look at the certificate, so database.tls.ca_file would have no effect: set the mode to verify_ca or verify_identity',
    );
  if ((cert_file === null) !== (key_file === null))
    throw bad(
      `database.tls.${cert_file === null ? 'cert_file' : 'key_file'} is missing: a certificate needs its key, and a key its certificate`,
    );
  const verify = ({ required: 'nothing', verify_ca: 'authority', verify_identity: 'identity' } as const)[mode];
  const ca = ca_file === null ? undefined : read('ca_file', ca_file, (pem) => new X509Certificate(pem));
  const cert = cert_file === null ? undefined : read('cert_file', cert_file, (pem) => new X509Certificate(pem));
  const key = key_file === null ? undefined : read('key_file', key_file, (pem) => createSecureContext({ key: pem }));
  try {
    createSecureContext({ ca, cert, key });
  } catch (error) {
    throw bad(`database.tls: the certificate, its key and the authority do not fit together (${messageOf(error)})`, error);
  }
  return { verify, ca, cert, key };
}

function read(key: string, file: string, look: (pem: string) => unknown): string {
  try {
    const pem = readFileSync(file, 'utf8');
    look(pem);
    return pem;
  } catch (error) {
    throw bad(`database.tls.${key}: ${file} is not usable (${messageOf(error)}): name a PEM file that this user may read`, error);
  }
}

/** For the driver. A server without encryption is refused by it with HANDSHAKE_NO_SSL_SUPPORT before the account is sent. */
export function sslOptions({ verify, ca, cert, key }: DatabaseTls): mysql.SslOptions & { minVersion: string } {
  return {
    ...{ ca, cert, key },
    minVersion: 'TLSv1.2',
    rejectUnauthorized: verify !== 'nothing',
    verifyIdentity: verify === 'identity',
  };
}

/** Words of the system in the message of a handshake that was cut, and not refused. */
const CUT = /ECONN|EPIPE|ETIMEDOUT|disconnected|socket hang up|Connection lost/i;

/**
 * Why a handshake was refused: encryption or certificate are not what the configuration asks for, which no second try mends. Undefined for every other error, a handshake that
 * was cut included: the driver gives both the same code.
 */
export function tlsRefusal(error: unknown): string | undefined {
  const { code, message = '' } = (error ?? {}) as { code?: string; message?: string };
  if (code === 'HANDSHAKE_NO_SSL_SUPPORT') return 'the server offers no encryption';
  return code === 'HANDSHAKE_SSL_ERROR' && !CUT.test(message) ? message : undefined;
}
