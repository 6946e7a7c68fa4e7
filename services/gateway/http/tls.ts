/** The certificate of the HTTP API: read at the start, and again whenever its files change. */
import { readFileSync, type StatsListener, unwatchFile, watchFile } from 'node:fs';
import { createSecureContext, type SecureContextOptions } from 'node:tls';
import type { Config } from '../../platform/config/load.ts';
import { ConfigError, codeOf, messageOf } from '../../platform/errors.ts';
import type { Logger } from '../../platform/log/log.ts';

export interface Certificate {
  options(): SecureContextOptions;
  /** Calls back with each certificate that replaces the present one. */
  onChange(callback: (options: SecureContextOptions) => void): void;
  close(): void;
}

/** Milliseconds between looks at the files. By name and not by inode: a renewal replaces a link. */
const LOOK_MS = 5_000;

/**
 * undefined without a certificate. One that cannot be used later is logged, and the present one stays: a renewal writes two files, one after the other. Errors:
 * `ConfigError('tls.unreadable' | 'tls.unusable')` at the start, with the file.
 */
export function watchCertificate(
  { cert_file, key_file }: Config['gateway']['tls'],
  log: Pick<Logger, 'info' | 'warn'>,
  lookMs = LOOK_MS,
): Certificate | undefined {
  if (cert_file === null || key_file === null) return undefined;
  const read = (): SecureContextOptions => {
    const options: SecureContextOptions = {
      cert: contentOf('cert_file', cert_file),
      key: contentOf('key_file', key_file),
      minVersion: 'TLSv1.2',
    };
    try {
      createSecureContext(options);
    } catch (error) {
      throw new ConfigError(
        'tls.unusable',
        `gateway.tls: ${cert_file} and ${key_file} are not a certificate and its key in PEM: ${messageOf(error)}`,
      );
    }
    return options;
  };
  let present = read();
  let callback: (options: SecureContextOptions) => void = () => {};
  const look: StatsListener = () => {
    try {
      present = read();
    } catch (error) {
      log.warn({ code: codeOf(error) }, `the certificate of before stays in use: ${messageOf(error)}`);
      return;
    }
    callback(present);
    log.info({ file: cert_file }, 'the gateway uses the new certificate');
  };
  for (const file of [cert_file, key_file]) watchFile(file, { interval: lookMs, persistent: false }, look);
  return {
    options: () => present,
    onChange(then) {
      callback = then;
    },
    close() {
      for (const file of [cert_file, key_file]) unwatchFile(file, look);
    },
  };
}

function contentOf(key: string, file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw new ConfigError(
      'tls.unreadable',
      `gateway.tls.${key}: ${file} cannot be read (${codeOf(error)}); name a file in PEM that this user may read`,
    );
  }
}
