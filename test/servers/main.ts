// `npm run test:servers`: obtains every server that the suite starts, so that no test waits for a compiler.
import { obtainAzurite } from './azure/index.ts';
import { obtainSqlglot } from './bigquery/translator.ts';
import { obtainCertManagerCrds } from './cert-manager/custom-resources.ts';
import { certManagerBinary } from './cert-manager/index.ts';
import { etcdBinary } from './etcd/index.ts';
import { gcsBinary } from './gcs/index.ts';
import { obtainSshd } from './git/sshd.ts';
import { obtainKafka } from './kafka/index.ts';
import { kubeApiserverBinary, kubeControllerManagerBinary, kubectlBinary } from './kubernetes/binaries.ts';
import { obtainMongo } from './mongodb/index.ts';
import { natsBinary } from './nats/index.ts';
import { ObtainError, obtain } from './obtain.ts';
import { oracleBinary } from './oracle/index.ts';
import { obtainPgbouncer } from './pgbouncer/index.ts';
import { obtainPostgres } from './postgres/binaries.ts';
import { s3Binary } from './s3/index.ts';

async function main(): Promise<void> {
  const since = performance.now();
  const options = { report: (line: string) => console.log(line), verbose: true };
  // In this order: the API server takes minutes, the others share its packages.
  const binaries = [kubeApiserverBinary, kubeControllerManagerBinary, kubectlBinary, etcdBinary, certManagerBinary, oracleBinary, natsBinary, s3Binary, gcsBinary];
  const others = [obtainPostgres, obtainPgbouncer, obtainSshd, obtainCertManagerCrds, obtainKafka, obtainMongo, obtainAzurite, obtainSqlglot];
  const outcomes = await Promise.allSettled([obtain(binaries, options), ...others.map((one) => one(options))]);
  const errors = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason as unknown] : []));
  for (const error of errors) console.error(error instanceof ObtainError ? `\n${error.message}` : error);
  if (errors.length > 0) process.exitCode = 1;
  else console.log(`all servers are there (${Math.round((performance.now() - since) / 1000)} s)`);
}

await main();
