/** Certificates for tests, made by openssl in a folder of their own. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface CertificateFiles {
  cert_file: string;
  key_file: string;
}

interface TestCertificates {
  /** An authority. */
  authority(name: string): CertificateFiles;
  /** A certificate for 127.0.0.1, signed by an authority or, without one, by itself. Days below 0: it has expired. */
  issue(name: string, options?: { by?: CertificateFiles; days?: number }): CertificateFiles;
  remove(): void;
}

const EC_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];

export function testCertificates(): TestCertificates {
  const folder = mkdtempSync(join(tmpdir(), 'stockmesh-certificates-'));
  const filesOf = (name: string) => ({ cert_file: join(folder, `${name}.pem`), key_file: join(folder, `${name}.key`) });
  const openssl = (...words: string[]) => execFileSync('openssl', words, { stdio: 'pipe' });
  return {
    authority(name) {
      const files = filesOf(name);
      openssl('req', '-x509', ...EC_KEY, '-days', '2', '-subj', `/CN=${name}`, '-keyout', files.key_file, '-out', files.cert_file);
      return files;
    },
    issue(name, { by, days = 2 } = {}) {
      const files = filesOf(name);
      const request = join(folder, `${name}.csr`);
      openssl(
        'req',
        '-new',
        ...EC_KEY,
        '-subj',
        `/CN=${name}`,
        '-addext',
        'subjectAltName=IP:127.0.0.1',
        '-keyout',
        files.key_file,
        '-out',
        request,
      );
      const signer = by === undefined ? ['-signkey', files.key_file] : ['-CA', by.cert_file, '-CAkey', by.key_file, '-CAcreateserial'];
      openssl('x509', '-req', '-in', request, ...signer, '-copy_extensions', 'copy', '-days', String(days), '-out', files.cert_file);
      return files;
    },
    remove: () => rmSync(folder, { recursive: true }),
  };
}

/** The files of a certificate as a client of TLS takes them. */
export const shown = ({ cert_file, key_file }: CertificateFiles) => ({ cert: readFileSync(cert_file), key: readFileSync(key_file) });
