import type { ControllerProcess, WebhookProcess } from '../kollect/installation.ts';
import type { Kubectl } from '../servers/kubernetes/kubectl.ts';
import type { Database } from './database.ts';

/** Kollect running on a cluster: what the tour and its visitor work with. */
export interface Environment {
  kubectl: Kubectl;
  /** Program, for people. */
  kubectlPath: string;
  kubeconfig: string;
  /** Holds `webhook.log` and `controller.log`. */
  folder: string;
  /** Where the samples are applied. */
  namespace: string;
  /** Where their Secret is. */
  secretNamespace: string;
  /** Folder for `kubectl apply -k`. */
  samples: string;
  database: Database;
  webhook: WebhookProcess;
  controller: ControllerProcess;
  /** Why the API server does not call the webhook; undefined when it does. */
  withoutWebhook: string | undefined;
  /** Ends everything, and removes what was created. Rejects when something had to be left. */
  stop(): Promise<void>;
}
