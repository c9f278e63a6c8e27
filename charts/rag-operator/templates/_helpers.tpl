{{- define "rag-operator.name" -}}
{{- if contains "rag-operator" .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-rag-operator" .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end }}

{{- define "rag-operator.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (include "rag-operator.name" .) -}}
{{- end }}

{{- define "rag-operator.selector" -}}
app.kubernetes.io/name: rag-operator
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end }}

{{- define "rag-operator.labels" -}}
{{ include "rag-operator.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- /* An image's reference, of a list: the root, the image. */ -}}
{{- define "rag-operator.image" -}}
{{- $root := index . 0 -}}
{{- $image := index . 1 -}}
{{- with $root.Values.images.registry }}{{ . }}/{{ end -}}
{{- $image.repository -}}
{{- if $image.digest }}@{{ $image.digest }}{{ else }}:{{ $image.tag | default $root.Chart.AppVersion }}{{ end -}}
{{- end }}

{{- /* What the operator may do in each namespace that it watches. */ -}}
{{- define "rag-operator.rules" -}}
# Its own kinds. spec is the users': patch is for the finalizer.
- apiGroups: [rag-operator.dev]
  resources: [ragpipelines, ragtenants]
  verbs: [get, list, watch, patch]
- apiGroups: [rag-operator.dev]
  resources: [ragpipelines/status, ragtenants/status]
  verbs: [patch]
# Children block their owner's deletion, which some clusters (OwnerReferencesPermissionEnforcement) ask this for.
- apiGroups: [rag-operator.dev]
  resources: [ragpipelines/finalizers, ragtenants/finalizers]
  verbs: [update]
# By name only: neither list nor watch. Deleting is the garbage collector's; the same clusters ask for the right all the
# same, of whoever gives an object that exists an owner, or takes it away.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, create, patch, delete]
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get, list, create, patch, delete]
- apiGroups: [""]
  resources: [services]
  verbs: [get, create, patch, delete]
- apiGroups: [""]
  resources: [serviceaccounts, persistentvolumeclaims]
  verbs: [get, create, patch, delete]
- apiGroups: [apps]
  resources: [deployments]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [apps]
  resources: [statefulsets]
  verbs: [get, list, watch, create, patch, delete]
# Why pods don't start; asked while some are missing.
- apiGroups: [""]
  resources: [pods]
  verbs: [list]
- apiGroups: [batch]
  resources: [cronjobs]
  verbs: [get, list, create, patch, delete]
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get, list, watch, create, delete]
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
  verbs: [get, create, patch, delete]
# Where the cluster has these kinds; a right to a kind that isn't there gives nothing.
- apiGroups: [monitoring.coreos.com]
  resources: [servicemonitors, prometheusrules]
  verbs: [get, create, patch, delete]
- apiGroups: [keda.sh]
  resources: [scaledobjects]
  verbs: [get, create, patch, delete]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, create, patch, delete]
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  verbs: [get, list, create, patch, delete]
- apiGroups: [""]
  resources: [events]
  verbs: [create]
# Whether a namespace is being deleted: then nothing may wait for what is in it. And by labels, whether a pipeline takes
# tenants from there: in the whole cluster they are watched, named namespaces are asked by name.
- apiGroups: [""]
  resources: [namespaces]
  verbs: [get{{ if not .Values.watchNamespaces }}, list, watch{{ end }}]
{{- end }}

{{- /* Refused here, not by the schema, whose message would have no mend and show the login. */}}
{{- define "rag-operator.proxy" -}}
{{- $url := index (last .) (first .) }}
{{- if not (regexMatch "^(http://[^/@]+/?)?$" $url) }}
{{- fail (printf "proxy.%s: write http://host:port; a user and a password go into a Secret, named in proxy.secretName" (first .)) }}
{{- end }}
{{- $url | quote }}
{{- end }}

{{- define "rag-operator.proxySecret" -}}
{{- if and .secretName (not (or .https .http)) }}
{{- fail "proxy.secretName is the login of proxies: name them in proxy.https or proxy.http" }}
{{- end }}
{{- .secretName | quote }}
{{- end }}

{{- define "rag-operator.environment" -}}
- name: POD_NAME
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
- name: RAG_OPERATOR_NAMESPACE
  value: {{ .Release.Namespace | quote }}
- name: RAG_OPERATOR_LEASE_NAME
  value: {{ include "rag-operator.name" . }}
- name: RAG_OPERATOR_WATCH_NAMESPACES
  value: {{ join "," .Values.watchNamespaces | quote }}
- name: RAG_OPERATOR_RUNTIME_IMAGE
  value: {{ include "rag-operator.image" (list . .Values.images.runtime) }}
- name: RAG_OPERATOR_POSTGRES_IMAGE
  value: {{ include "rag-operator.image" (list . .Values.images.postgres) }}
- name: RAG_OPERATOR_REDIS_IMAGE
  value: {{ include "rag-operator.image" (list . .Values.images.redis) }}
- name: RAG_OPERATOR_IMAGE_PULL_POLICY
  value: {{ .Values.images.pullPolicy }}
- name: RAG_OPERATOR_IMAGE_PULL_SECRETS
  value: {{ $names := list }}{{ range .Values.images.pullSecrets }}{{ $names = append $names .name }}{{ end }}{{ join "," $names | quote }}
- name: RAG_OPERATOR_ROLLOUT_PAUSE_SECONDS
  value: {{ .Values.rollout.pauseSeconds | quote }}
- name: RAG_OPERATOR_LOGIN_GRACE_SECONDS
  value: {{ .Values.rotation.graceSeconds | quote }}
- name: RAG_OPERATOR_LEAVE_GRACE_SECONDS
  value: {{ .Values.namespaceDeletion.graceSeconds | quote }}
- name: RAG_OPERATOR_HTTPS_PROXY
  value: {{ include "rag-operator.proxy" (list "https" .Values.proxy) }}
- name: RAG_OPERATOR_HTTP_PROXY
  value: {{ include "rag-operator.proxy" (list "http" .Values.proxy) }}
- name: RAG_OPERATOR_NO_PROXY
  value: {{ join "," .Values.proxy.noProxy | quote }}
- name: RAG_OPERATOR_PROXY_SECRET
  value: {{ include "rag-operator.proxySecret" .Values.proxy }}
- name: RAG_OPERATOR_LOG_LEVEL
  value: {{ .Values.logLevel }}
{{- end }}

{{- define "rag-operator.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "rag-operator.containerSecurity" -}}
allowPrivilegeEscalation: false
capabilities: {drop: [ALL]}
readOnlyRootFilesystem: true
{{- end }}
