import { issueCertificate, type IssuedCertificate } from '../../certs/x509.ts';
import { HttpProxy, type HttpFault } from '../faults/http-proxy.ts';
import { startS3 } from '../servers/s3/index.ts';
import { canary } from './conformance.ts';
import { authority, caBundle, host, type Fault, type FailurePlace } from './connection-failures.ts';

type OnEnd = (end: () => Promise<void> | void) => void;

const pem = ({ certificate: cert, key }: IssuedCertificate): { cert: string; key: string } => ({ cert, key });

/** A proxy that speaks HTTPS, whose faults are those that somebody asked for. */
async function proxyOf(port: number, onEnd: OnEnd): Promise<HttpProxy> {
  const proxy = await new HttpProxy(port, pem(issueCertificate(authority, { hosts: [host] }))).start();
  onEnd(() => proxy.stop());
  return proxy;
}

/** A bucket of S3 over TLS. */
export async function s3Failures(onEnd: OnEnd): Promise<FailurePlace> {
  const server = await startS3({ buckets: ['inventory'], secretAccessKey: `${canary}-of-the-bucket` });
  onEnd(() => server.stop());
  const proxy = await proxyOf(server.port, onEnd);
  const secret = { accessKeyID: server.accessKeyId, secretAccessKey: server.secretAccessKey };
  const answers = (status: number, name: string, isOf: (method: string, url: string) => boolean = () => true): Pick<Fault, 'occur' | 'mend'> => ({
    occur: () => {
      const fault: HttpFault = { status, headers: { 'content-type': 'application/xml' }, body: `<Error><Code>${name}</Code><Message>it said so</Message></Error>` };
      proxy.fault = ({ method = '', url = '' }) => (isOf(method, url) ? fault : undefined);
    },
    mend: () => {
      proxy.fault = () => undefined;
    },
  });
  const endpoint = ({ host: at, port }: { host: string; port: number }, bucket = 'inventory'): string => `https://${at}:${port}/${bucket}/kubernetes`;
  return {
    name: 's3',
    kind: 'KollectSnapshotSink',
    port: proxy.port,
    spec: (at) => ({ type: 's3', endpoint: endpoint(at), tls: { caBundle }, secretRef: { name: 's3' } }),
    secret: () => secret,
    wrong: () => ({ ...secret, secretAccessKey: `${canary}-that-does-not-fit` }),
    show: (pair) => proxy.certify(pem(pair)),
    faults: [
      { what: 'a bucket that does not exist', spec: (at) => ({ endpoint: endpoint(at, 'missing') }), code: 'KOL_SINK_SCHEMA', says: /the bucket does not exist: create it, or correct spec\.endpoint/ },
      { what: 'an access key that nobody has', secret: () => ({ ...secret, accessKeyID: 'nobody' }), code: 'KOL_SINK_AUTH', says: /refused the login.*: correct accessKeyID/ },
      { what: 'a storage class that does not exist', spec: () => ({ options: { storageClass: 'COLD' } }), code: 'KOL_SINK_CONFIG', says: /storageClass cannot be "COLD": write one of .*STANDARD/ },
      { what: 'a key without its encryption', spec: () => ({ options: { sse: 'AES256', sseKmsKeyId: 'k' } }), code: 'KOL_SINK_CONFIG', says: /set sse to aws:kms/ },
      { what: 'a bucket that may not be listed', code: 'KOL_SINK_AUTH', says: /may not do s3:ListBucket: allow it/, ...answers(403, 'AccessDenied', (method, url) => method === 'GET' && url.includes('list-type')) },
      { what: 'objects that may not be read', code: 'KOL_SINK_AUTH', says: /refused s3:GetObject: .*allow it/, ...answers(403, 'AccessDenied', (method) => method === 'HEAD') },
      { what: 'objects that may not be written', code: 'KOL_SINK_AUTH', says: /may not do s3:PutObject: allow it/, ...answers(403, 'AccessDenied', (method) => method === 'PUT') },
      { what: 'credentials that have expired', code: 'KOL_SINK_AUTH', says: /have expired .*: put new ones with sessionToken/, ...answers(403, 'ExpiredToken') },
      { what: 'another region', code: 'KOL_SINK_CONFIG', says: /another region than "us-east-1": correct spec\.options\.region/, ...answers(400, 'AuthorizationHeaderMalformed') },
      { what: 'clocks that differ', code: 'KOL_SINK_UNAVAILABLE', says: /clocks .*: correct them/, ...answers(403, 'RequestTimeTooSkewed') },
      { what: 'too many requests', code: 'KOL_SINK_UNAVAILABLE', says: /limits how often it is asked: look at its limits/, ...answers(503, 'SlowDown') },
      { what: 'a store that fails', code: 'KOL_SINK_UNAVAILABLE', says: /the store failed: look at its log/, ...answers(500, 'InternalError') },
    ],
    // Of a message of TLS.
    beginning: '\x16\x03\x03\x40\x00\x02',
  };
}
