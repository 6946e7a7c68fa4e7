/** Certificates for tests, made by openssl: an oracle of its own for what the product checks. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

export interface CertificateFiles {
  readonly cert: string;
  readonly key: string;
}

const KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
const openssl = (...args: string[]) => execFileSync('openssl', args, { stdio: ['ignore', 'ignore', 'pipe'] });

/** An authority whose certificate and key are `NAME.pem` and `NAME.key` in `folder`. */
export function createAuthority(folder: string, name: string) {
  const files = (of: string): CertificateFiles => ({ cert: join(folder, `${of}.pem`), key: join(folder, `${of}.key`) });
  const own = files(name);
  openssl('req', '-x509', ...KEY, '-days', '2', '-subj', `/CN=${name}`, '-keyout', own.key, '-out', own.cert);
  return {
    ...own,
    /** Issues a certificate for a subject such as `DNS:localhost` or `IP:127.0.0.1`. `days`: -1 has expired yesterday. */
    issue(of: string, subject: string, days = 2): CertificateFiles {
      const { cert, key } = files(of);
      const request = join(folder, `${of}.csr`);
      openssl('req', ...KEY, '-subj', `/CN=${of}`, '-addext', `subjectAltName=${subject}`, '-keyout', key, '-out', request);
      const by = ['-CA', own.cert, '-CAkey', own.key, '-CAcreateserial', '-copy_extensions', 'copy'];
      openssl('x509', '-req', '-in', request, ...by, '-days', String(days), '-out', cert);
      return { cert, key };
    },
  };
}
