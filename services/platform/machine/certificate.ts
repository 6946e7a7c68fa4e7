/** The certificate of a server: read at the start, and again whenever its files change. */
import { X509Certificate } from 'node:crypto';
import { readFileSync, type StatsListener, unwatchFile, watchFile } from 'node:fs';
import { createSecureContext, type SecureContextOptions } from 'node:tls';
import { ConfigError, codeOf, messageOf } from '../errors.ts';
import type { Logger } from '../log/log.ts';

export interface Certificate {
  options(): SecureContextOptions;
  /** Calls back with each certificate that replaces the present one; several servers may share one certificate. */
  onChange(callback: (options: SecureContextOptions) => void): void;
  close(): void;
}

/** Files in PEM. `client_ca_file`: the authority that signs the certificates of clients. */
export interface CertificateFiles {
  cert_file: string | null;
  key_file: string | null;
  client_ca_file?: string | null;
}

/** Milliseconds between looks at the files. By name and not by inode: a renewal replaces a link. */
const LOOK_MS = 5_000;

/**
 * undefined without a certificate. One that cannot be used later is logged, and the present one stays: a renewal writes two files, one after the other. `section` is where the
 * files stand in the configuration, such as `gateway.tls`. Errors: `ConfigError('tls.unreadable' | 'tls.unusable')` at the start, with the file.
 */
export function watchCertificate(
  section: string,
  { cert_file, key_file, client_ca_file = null }: CertificateFiles,
  log: Pick<Logger, 'info' | 'warn'>,
  lookMs = LOOK_MS,
): Certificate | undefined {
  if (cert_file === null || key_file === null) return undefined;
  const read = (): SecureContextOptions => {
    const cert = contentOf(section, 'cert_file', cert_file);
    const options: SecureContextOptions = { cert, key: contentOf(section, 'key_file', key_file), minVersion: 'TLSv1.2' };
    try {
      createSecureContext(options);
    } catch (error) {
      throw new ConfigError(
        'tls.unusable',
        `${section}: ${cert_file} and ${key_file} are not a certificate and its key in PEM: ${messageOf(error)}`,
      );
    }
    const { validTo } = new X509Certificate(cert);
    if (Date.parse(validTo) < Date.now())
      log.warn(`${section}.cert_file: ${cert_file} expired on ${validTo}, so clients refuse it; renew it, it is read again by itself`);
    return client_ca_file === null ? options : { ...options, ca: authorityIn(section, client_ca_file) };
  };
  const files = [cert_file, key_file, ...(client_ca_file === null ? [] : [client_ca_file])];
  const callbacks: ((options: SecureContextOptions) => void)[] = [];
  let present = read();
  const look: StatsListener = () => {
    try {
      present = read();
    } catch (error) {
      log.warn({ code: codeOf(error) }, `the certificate of before stays in use: ${messageOf(error)}`);
      return;
    }
    for (const callback of callbacks) callback(present);
    log.info({ file: cert_file }, `${section}: the new certificate is in use`);
  };
  for (const file of files) watchFile(file, { interval: lookMs, persistent: false }, look);
  return {
    options: () => present,
    onChange(callback) {
      callbacks.push(callback);
    },
    close() {
      for (const file of files) unwatchFile(file, look);
    },
  };
}

/** OpenSSL takes a file without any certificate for no authority at all, and would then refuse every client. */
function authorityIn(section: string, file: string): Buffer {
  const content = contentOf(section, 'client_ca_file', file);
  try {
    new X509Certificate(content);
  } catch (error) {
    throw new ConfigError('tls.unusable', `${section}.client_ca_file: ${file} is no certificate in PEM: ${messageOf(error)}`);
  }
  return content;
}

function contentOf(section: string, key: string, file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw new ConfigError(
      'tls.unreadable',
      `${section}.${key}: ${file} cannot be read (${codeOf(error)}); name a file in PEM that this user may read`,
    );
  }
}
