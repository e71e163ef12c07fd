{{- define "quota-proxy.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{/* Short enough for what is put behind it. */}}
{{- define "quota-proxy.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- $name := include "quota-proxy.name" . -}}
{{- ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "quota-proxy.selector" -}}
app.kubernetes.io/name: {{ include "quota-proxy.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "quota-proxy.labels" -}}
{{ include "quota-proxy.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "quota-proxy.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "quota-proxy.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "quota-proxy.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{/* Empty if there is no Secret at all, as there may be with SQLite. */}}
{{- define "quota-proxy.secret" -}}
{{- with .Values.secrets -}}
{{- if .existing -}}
{{- .existing -}}
{{- else if or .databaseUrl .adminToken .secretKey -}}
{{- include "quota-proxy.fullname" $ -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "quota-proxy.scheme" -}}
{{- ternary "HTTPS" "HTTP" (ne .Values.tls.secretName "") -}}
{{- end -}}

{{/* What Kubernetes would take, and quota-proxy not. */}}
{{- define "quota-proxy.check" -}}
{{- $postgres := eq .Values.engine "postgres" -}}
{{- if and (not $postgres) (gt (int .Values.replicas) 1) -}}
{{- fail (printf "replicas is %d, and SQLite serves one replica: each would have a database of its own, and grant the same units again. Set engine=postgres and secrets.existing, or replicas=1." (int .Values.replicas)) -}}
{{- end -}}
{{- if and (not $postgres) .Values.autoscaling.enabled -}}
{{- fail "autoscaling.enabled needs engine=postgres: SQLite serves one replica." -}}
{{- end -}}
{{- with .Values.secrets -}}
{{- if and .existing (or .databaseUrl .adminToken .secretKey) -}}
{{- fail "secrets.existing and the other values of secrets exclude each other: put all of them into the Secret that you have made." -}}
{{- end -}}
{{- if and (not $postgres) .databaseUrl -}}
{{- fail "secrets.databaseUrl needs engine=postgres: with SQLite the database is on the volume." -}}
{{- end -}}
{{- if and $postgres (not .existing) (not (and .databaseUrl .adminToken .secretKey)) -}}
{{- fail "engine=postgres needs secrets.existing, the name of a Secret with the keys database-url, admin-token and secret-key; or all of secrets.databaseUrl, secrets.adminToken and secrets.secretKey. They have to be the same for all replicas, so that no replica makes its own." -}}
{{- end -}}
{{- end -}}
{{- if and .Values.ingress.enabled (empty .Values.ingress.hosts) -}}
{{- fail "ingress.enabled needs ingress.hosts, the names under which clients come." -}}
{{- end -}}
{{- end -}}
