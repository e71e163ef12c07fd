/** Values that people may give to the Helm chart: those that it takes, and those that it must refuse. */
import type { Values } from './helm.ts'

export const SECRETS = {
  databaseUrl: 'postgres://quota_proxy:0123456789@db.example.org/quota_proxy',
  adminToken: 'a-token-of-this-test-only',
  secretKey: 'MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=',
}
const POSTGRES = { engine: 'postgres', replicas: 3, secrets: { existing: 'mine' } }

/** Values that people may have, and which kinds come of them beside Service, Service and ServiceAccount. */
export const CASES: Readonly<Record<string, readonly [Values, readonly string[]]>> = {
  'nothing set': [{}, ['StatefulSet']],
  'SQLite with secrets of its own': [
    { secrets: { adminToken: SECRETS.adminToken, secretKey: SECRETS.secretKey } },
    ['Secret', 'StatefulSet'],
  ],
  'SQLite with a secret that is there': [{ secrets: { existing: 'mine' } }, ['StatefulSet']],
  'PostgreSQL, three replicas': [POSTGRES, ['Deployment', 'PodDisruptionBudget']],
  'PostgreSQL, one replica, secrets as values': [
    { engine: 'postgres', secrets: SECRETS },
    ['Deployment', 'Secret'],
  ],
  'as many replicas as are needed': [
    { ...POSTGRES, autoscaling: { enabled: true } },
    ['Deployment', 'HorizontalPodAutoscaler', 'PodDisruptionBudget'],
  ],
  'everything at once': [
    {
      ...POSTGRES,
      image: { repository: 'registry.example.org/quota-proxy', digest: `sha256:${'0'.repeat(64)}` },
      imagePullSecrets: [{ name: 'registry' }],
      config: { PROXY_EGRESS: 'off', TRUSTED_PROXIES: '10.0.0.0/8', CALLS_MAX: '20000000' },
      extraEnv: [
        { name: 'UPSTREAM_API_KEY', valueFrom: { secretKeyRef: { name: 'openai', key: 'key' } } },
      ],
      extraVolumes: [{ name: 'authority', configMap: { name: 'authority' } }],
      extraVolumeMounts: [{ name: 'authority', mountPath: '/authority', readOnly: true }],
      shutdown: { delaySeconds: 15, graceSeconds: 300 },
      tls: { secretName: 'certificate' },
      service: { type: 'LoadBalancer', port: 443, annotations: { a: 'b' } },
      metrics: { serviceMonitor: { enabled: true, labels: { release: 'prometheus' } } },
      ingress: {
        enabled: true,
        className: 'nginx',
        annotations: { 'nginx.ingress.kubernetes.io/proxy-buffering': 'off' },
        hosts: ['api.example.org', 'keys.example.org'],
        tls: [{ secretName: 'certificate', hosts: ['api.example.org'] }],
      },
      autoscaling: { enabled: true, minReplicas: 3, maxReplicas: 9 },
      disruptionBudget: { maxUnavailable: '25%' },
      networkPolicy: {
        enabled: true,
        callersFrom: [{ namespaceSelector: { matchLabels: { name: 'ingress' } } }],
        adminFrom: [{ podSelector: { matchLabels: { app: 'operator' } } }],
        metricsFrom: [{ namespaceSelector: { matchLabels: { name: 'monitoring' } } }],
        egress: [
          { to: [{ ipBlock: { cidr: '0.0.0.0/0' } }], ports: [{ port: 443, protocol: 'TCP' }] },
        ],
      },
      serviceAccount: { name: 'calls', annotations: { role: 'x' } },
      podAnnotations: { a: 'b' },
      podLabels: { c: 'd' },
      priorityClassName: 'high',
      nodeSelector: { disk: 'ssd' },
      tolerations: [{ key: 'calls', operator: 'Exists' }],
      affinity: { podAntiAffinity: {} },
      fullnameOverride: 'quota',
    },
    [
      'Deployment',
      'HorizontalPodAutoscaler',
      'Ingress',
      'NetworkPolicy',
      'PodDisruptionBudget',
      'ServiceMonitor',
    ],
  ],
}

export const REFUSED: Readonly<Record<string, readonly [Values, RegExp]>> = {
  'three replicas on SQLite': [
    { replicas: 3 },
    /replicas is 3, and SQLite serves one replica: .*Set engine=postgres/,
  ],
  'an autoscaler on SQLite': [
    { autoscaling: { enabled: true } },
    /autoscaling\.enabled needs engine=postgres/,
  ],
  'PostgreSQL without secrets': [{ engine: 'postgres' }, /engine=postgres needs secrets\.existing/],
  'PostgreSQL with a part of them': [
    { engine: 'postgres', secrets: { databaseUrl: SECRETS.databaseUrl } },
    /engine=postgres needs secrets\.existing/,
  ],
  'secrets in two ways': [{ secrets: { existing: 'mine', adminToken: 'x' } }, /exclude each other/],
  'the URL of a database that is not used': [
    { secrets: { databaseUrl: SECRETS.databaseUrl } },
    /secrets\.databaseUrl needs engine=postgres/,
  ],
  'an Ingress for no name': [
    { ingress: { enabled: true } },
    /ingress\.enabled needs ingress\.hosts/,
  ],
  'a value that there is not': [{ replicaCount: 3 }, /replicaCount/],
  'an engine that there is not': [{ engine: 'mysql' }, /engine/],
  'a number where text is asked for, of which Helm would make 1e+07': [
    { config: { CALLS_MAX: 10_000_000 } },
    /CALLS_MAX/,
  ],
  'a setting that the chart sets by itself': [
    { config: { DATABASE_URL: 'x' } },
    /DATABASE_URL|config/,
  ],
  'a network file system': [{ persistence: { accessModes: ['ReadWriteMany'] } }, /accessModes/],
}
