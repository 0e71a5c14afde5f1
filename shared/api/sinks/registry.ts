// One line a type, exported under the name that `spec.type` has.
export { azureblob, gcs, s3 } from './object-store.ts';
export { bigquery } from './bigquery.ts';
export { git, gitlab } from './git.ts';
export { http } from './http.ts';
export { kafka } from './kafka.ts';
export { mongodb } from './mongodb.ts';
export { nats } from './nats.ts';
export { postgres } from './postgres.ts';
