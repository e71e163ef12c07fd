/**
 * Every metric there is, once: its name, type, labels and meaning. What the server emits and docs/metrics.md are made from
 * this table. No label ever takes a value that a client chooses.
 */

export type MetricRow = {
  readonly type: 'counter' | 'gauge' | 'histogram' | 'summary'
  readonly labels: readonly string[]
  /** One sentence or two; Prometheus shows it as it is. */
  readonly help: string
}

export const METRICS = {
  quota_proxy_calls_total: {
    type: 'counter',
    labels: ['upstream', 'outcome', 'code', 'status'],
    help: 'Calls that have ended, refused ones included: outcome says how, code why if it was no answer, status is the class of what the client got, such as 2xx.',
  },
  quota_proxy_units_charged_total: {
    type: 'counter',
    labels: ['upstream', 'unit'],
    help: 'Units that calls were charged in the end: requests, tokens, and cost in micro-units of money.',
  },
  quota_proxy_units_refunded_total: {
    type: 'counter',
    labels: ['upstream', 'unit'],
    help: 'Units that were reserved for calls and given back at their end.',
  },
  quota_proxy_calls_estimated_total: {
    type: 'counter',
    labels: ['upstream'],
    help: 'Calls that were let through and whose tokens or cost were estimated in part, because the upstream did not report them or the call was not finished.',
  },
  quota_proxy_call_duration_seconds: {
    type: 'histogram',
    labels: ['upstream'],
    help: 'From the arrival of a call that was let through to the end of its answer.',
  },
  quota_proxy_upstream_duration_seconds: {
    type: 'histogram',
    labels: ['upstream'],
    help: 'The part of it from the sending of the request to the end of the answer of the upstream.',
  },
  quota_proxy_added_duration_seconds: {
    type: 'histogram',
    labels: ['upstream'],
    help: 'The other part, which is ours: the call less its time at the upstream.',
  },
  quota_proxy_credential_rejected_total: {
    type: 'counter',
    labels: ['upstream'],
    help: 'Calls that failed because the upstream refused the credential of the operator.',
  },
  quota_proxy_upstream_circuit: {
    type: 'gauge',
    labels: ['upstream'],
    help: 'Circuit of each upstream: 0 is closed, 1 is being tried, 2 is open and refuses calls.',
  },
  quota_proxy_key_calls_total: {
    type: 'counter',
    labels: ['key', 'outcome'],
    help: 'Calls by the id of their key, for the first METRICS_KEYS_MAX keys that call; the rest are counted together as other.',
  },
  quota_proxy_calls_in_flight: {
    type: 'gauge',
    labels: [],
    help: 'Calls in flight, of which there may be PROXY_IN_FLIGHT_MAX. What is refused for that is counted under the codes overloaded and concurrency_limit_exceeded.',
  },
  quota_proxy_buffer_bytes: {
    type: 'gauge',
    labels: [],
    help: 'Memory set aside for bodies of calls in flight, of which there may be PROXY_BUFFER_BYTES_MAX.',
  },
  quota_proxy_holds_open: {
    type: 'gauge',
    labels: [],
    help: 'Calls in flight whose units are reserved.',
  },
  quota_proxy_ledger_batch_calls: {
    type: 'histogram',
    labels: [],
    help: 'Reservations and settlements that shared one transaction.',
  },
  quota_proxy_ledger_commit_seconds: {
    type: 'histogram',
    labels: [],
    help: 'How long such a transaction took, from its begin to its commit.',
  },
  quota_proxy_store_errors_total: {
    type: 'counter',
    labels: [],
    help: 'Times that the database failed, the tries while it is failing included, or rejected an entry.',
  },
  quota_proxy_store_failing: {
    type: 'gauge',
    labels: [],
    help: '1 while the database fails and calls are refused.',
  },
  quota_proxy_store_replicas: {
    type: 'gauge',
    labels: [],
    help: 'Processes that serve the same database, this one included, as of the latest beat.',
  },
  quota_proxy_store_replicas_lost_total: {
    type: 'counter',
    labels: [],
    help: 'Other processes whose lease this one has found run out: they were killed, paused, or cut off from the database.',
  },
  quota_proxy_store_lease_seconds: {
    type: 'gauge',
    labels: [],
    help: 'What is left of the lease of this process, after which others end its calls; absent on SQLite.',
  },
  quota_proxy_books_unbalanced_counters: {
    type: 'gauge',
    labels: [],
    help: 'Counters that differed from the sums of the ledger when that was last examined; absent until it is.',
  },
  quota_proxy_database_bytes: {
    type: 'gauge',
    labels: [],
    help: 'Size of the database file; absent if it is kept in memory.',
  },
  quota_proxy_wal_bytes: {
    type: 'gauge',
    labels: [],
    help: 'Size of the write-ahead log beside it.',
  },
  quota_proxy_disk_free_bytes: {
    type: 'gauge',
    labels: [],
    help: 'What this user may still write to the file system of the database.',
  },
  quota_proxy_backup_scheduled: {
    type: 'gauge',
    labels: [],
    help: '1 if backups are made by a schedule.',
  },
  quota_proxy_backup_last_success_timestamp_seconds: {
    type: 'gauge',
    labels: [],
    help: 'When the newest good backup was made; absent if there is none.',
  },
  quota_proxy_backup_failed: {
    type: 'gauge',
    labels: [],
    help: '1 if the latest attempt at a backup failed.',
  },
  quota_proxy_backup_size_bytes: {
    type: 'gauge',
    labels: [],
    help: 'Size of the newest good backup.',
  },
  quota_proxy_backup_duration_seconds: {
    type: 'gauge',
    labels: [],
    help: 'How long the newest good backup took.',
  },
  quota_proxy_tls_certificate_expiry_timestamp_seconds: {
    type: 'gauge',
    labels: [],
    help: 'When the first certificate of TLS_CERT_FILE ends; absent without one.',
  },
  quota_proxy_event_loop_lag_seconds: {
    type: 'summary',
    labels: ['quantile'],
    help: 'How late timers fire, over the last minute; quantile 1 is the worst.',
  },
  quota_proxy_build_info: {
    type: 'gauge',
    labels: ['version'],
    help: 'Always 1; the version is its label.',
  },
  process_cpu_user_seconds_total: {
    type: 'counter',
    labels: [],
    help: 'Total user CPU time spent in seconds.',
  },
  process_cpu_system_seconds_total: {
    type: 'counter',
    labels: [],
    help: 'Total system CPU time spent in seconds.',
  },
  process_cpu_seconds_total: {
    type: 'counter',
    labels: [],
    help: 'Total user and system CPU time spent in seconds.',
  },
  process_start_time_seconds: {
    type: 'gauge',
    labels: [],
    help: 'Start time of the process since unix epoch in seconds.',
  },
  process_resident_memory_bytes: {
    type: 'gauge',
    labels: [],
    help: 'Resident memory size in bytes.',
  },
  process_open_fds: {
    type: 'gauge',
    labels: [],
    help: 'Number of open file descriptors.',
  },
  process_max_fds: {
    type: 'gauge',
    labels: [],
    help: 'Maximum number of open file descriptors.',
  },
} as const satisfies Record<string, MetricRow>

export type MetricName = keyof typeof METRICS
