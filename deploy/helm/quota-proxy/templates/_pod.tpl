{{/* The pod, which is the same for both engines but for where the database is. */}}
{{- define "quota-proxy.pod" -}}
{{- $postgres := eq .Values.engine "postgres" -}}
{{- $secret := include "quota-proxy.secret" . -}}
metadata:
  labels:
    {{- include "quota-proxy.labels" . | nindent 4 }}
    {{- with .Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    kubectl.kubernetes.io/default-container: quota-proxy
    {{- if and $secret (not .Values.secrets.existing) }}
    # A changed secret reaches the pods by a rollout.
    checksum/secret: {{ .Values.secrets | toJson | sha256sum }}
    {{- end }}
    {{- with .Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  {{- with .Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  serviceAccountName: {{ include "quota-proxy.serviceAccount" . }}
  # It never speaks to Kubernetes.
  automountServiceAccountToken: false
  # They would set variables that look like settings.
  enableServiceLinks: false
  securityContext:
    {{- toYaml .Values.podSecurityContext | nindent 4 }}
  terminationGracePeriodSeconds: {{ add (int .Values.shutdown.delaySeconds) (int .Values.shutdown.graceSeconds) 10 }}
  containers:
    - name: quota-proxy
      image: {{ include "quota-proxy.image" . | quote }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      securityContext:
        {{- toYaml .Values.securityContext | nindent 8 }}
      env:
        - name: HOST
          value: "0.0.0.0"
        - name: PORT
          value: "8787"
        - name: ADMIN_LISTEN
          value: "0.0.0.0:{{ .Values.admin.port }}"
        - name: METRICS_LISTEN
          value: "0.0.0.0:{{ .Values.metrics.port }}"
        # Made by the process for itself alone: what Kubernetes mounts is open to its group.
        - name: DATA_DIR
          value: /data/quota-proxy
        - name: SHUTDOWN_DELAY_MS
          value: {{ mul (int .Values.shutdown.delaySeconds) 1000 | quote }}
        - name: SHUTDOWN_GRACE_MS
          value: {{ mul (int .Values.shutdown.graceSeconds) 1000 | quote }}
        {{- if $postgres }}
        - name: DATABASE_URL
          valueFrom:
            secretKeyRef:
              name: {{ $secret }}
              key: database-url
        {{- end }}
        {{- if or $postgres .Values.secrets.adminToken }}
        # Read again when it changes.
        - name: ADMIN_TOKEN_FILE
          value: /secrets/admin-token
        {{- else if $secret }}
        - name: ADMIN_TOKEN
          valueFrom:
            secretKeyRef:
              name: {{ $secret }}
              key: admin-token
              optional: true
        {{- end }}
        {{- if or $postgres .Values.secrets.secretKey }}
        - name: SECRET_KEY_FILE
          value: /secrets/secret-key
        {{- else if $secret }}
        - name: SECRET_KEY
          valueFrom:
            secretKeyRef:
              name: {{ $secret }}
              key: secret-key
              optional: true
        {{- end }}
        {{- if .Values.tls.secretName }}
        - name: TLS_CERT_FILE
          value: /tls/tls.crt
        - name: TLS_KEY_FILE
          value: /tls/tls.key
        {{- end }}
        {{- range $name, $value := .Values.config }}
        - name: {{ $name }}
          value: {{ $value | quote }}
        {{- end }}
        {{- with .Values.extraEnv }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      ports:
        - name: http
          containerPort: 8787
        - name: admin
          containerPort: {{ .Values.admin.port }}
        - name: metrics
          containerPort: {{ .Values.metrics.port }}
      # Alive, until then: a start may have to change a large database.
      startupProbe:
        httpGet:
          path: /healthz
          port: http
          scheme: {{ include "quota-proxy.scheme" . }}
        periodSeconds: 2
        timeoutSeconds: 3
        failureThreshold: {{ div (add (int .Values.startSeconds) 1) 2 }}
      # It does not ask for the database: a restart would not bring that back.
      livenessProbe:
        httpGet:
          path: /healthz
          port: http
          scheme: {{ include "quota-proxy.scheme" . }}
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 6
      readinessProbe:
        httpGet:
          path: /readyz
          port: http
          scheme: {{ include "quota-proxy.scheme" . }}
        periodSeconds: 2
        timeoutSeconds: 3
        failureThreshold: 1
      resources:
        {{- toYaml .Values.resources | nindent 8 }}
      volumeMounts:
        - name: data
          mountPath: /data
        - name: tmp
          mountPath: /tmp
        {{- if or $postgres .Values.secrets.adminToken .Values.secrets.secretKey }}
        - name: secrets
          mountPath: /secrets
          readOnly: true
        {{- end }}
        {{- if .Values.tls.secretName }}
        - name: tls
          mountPath: /tls
          readOnly: true
        {{- end }}
        {{- with .Values.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
  volumes:
    {{- if $postgres }}
    # Who a replica is, and nothing that outlives it.
    - name: data
      emptyDir:
        sizeLimit: 64Mi
    {{- end }}
    - name: tmp
      emptyDir:
        sizeLimit: 256Mi
    {{- if or $postgres .Values.secrets.adminToken .Values.secrets.secretKey }}
    - name: secrets
      secret:
        secretName: {{ $secret }}
        defaultMode: 0440
        items:
          {{- if or $postgres .Values.secrets.adminToken }}
          - key: admin-token
            path: admin-token
          {{- end }}
          {{- if or $postgres .Values.secrets.secretKey }}
          - key: secret-key
            path: secret-key
          {{- end }}
    {{- end }}
    {{- if .Values.tls.secretName }}
    - name: tls
      secret:
        secretName: {{ .Values.tls.secretName }}
        defaultMode: 0440
    {{- end }}
    {{- with .Values.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with .Values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with .Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if .Values.topologySpreadConstraints }}
  topologySpreadConstraints:
    {{- toYaml .Values.topologySpreadConstraints | nindent 4 }}
  {{- else if and $postgres (empty .Values.affinity) }}
  topologySpreadConstraints:
    {{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
    - topologyKey: {{ . }}
      maxSkew: 1
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "quota-proxy.selector" $ | nindent 10 }}
    {{- end }}
  {{- end }}
{{- end -}}
