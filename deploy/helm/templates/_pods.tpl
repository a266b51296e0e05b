{{/* The labels of everything of this release; `component` comes beside them. */}}
{{- define "viewledger.labels" -}}
app.kubernetes.io/name: viewledger
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "viewledger.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- define "viewledger.stateClaim" -}}
{{ .Values.state.existingClaim | default (printf "%s-state" .Release.Name) }}
{{- end }}

{{/* The spec of a pod. Given: root, component, args, secrets, keyFiles (names of settings), and perhaps resources, port
(of probes), env, restartPolicy, grace, state, checkpoints, backups. */}}
{{- define "viewledger.pod" -}}
{{- $root := .root }}
serviceAccountName: {{ .account | default $root.Release.Name }}
automountServiceAccountToken: false
{{- with $root.Values.image.pullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  runAsNonRoot: true
  seccompProfile: { type: RuntimeDefault }
  {{- toYaml $root.Values.podSecurityContext | nindent 2 }}
{{- with .restartPolicy }}
restartPolicy: {{ . }}
{{- end }}
{{- with .grace }}
terminationGracePeriodSeconds: {{ . }}
{{- end }}
{{- with $root.Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $root.Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- if .spread }}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "viewledger.labels" $root | nindent 8 }}
        app.kubernetes.io/component: {{ .component }}
{{- end }}
containers:
  - name: {{ .component }}
    image: {{ include "viewledger.image" $root | quote }}
    imagePullPolicy: {{ $root.Values.image.pullPolicy }}
    args: {{- toJson .args | nindent 6 }}
    securityContext:
      allowPrivilegeEscalation: false
      readOnlyRootFilesystem: true
      capabilities: { drop: [ALL] }
    {{- with .resources }}
    resources: {{- toYaml . | nindent 6 }}
    {{- end }}
    env:
      {{- $given := merge (dict) (.env | default dict) }}
      {{- $common := dict
        "VIEWLEDGER_KAFKA_BOOTSTRAP" $root.Values.kafka.bootstrap
        "VIEWLEDGER_HDFS_URL" $root.Values.hdfs.url
        "VIEWLEDGER_STATE_DIR" "/var/lib/viewledger/state"
        "VIEWLEDGER_JARS" "/opt/viewledger/jars/spark"
        "VIEWLEDGER_SPARK_MASTER" $root.Values.spark.master
        "SPARK_LOCAL_DIRS" "/var/lib/viewledger/spark"
        "VIEWLEDGER_BIND_HOST" "0.0.0.0"
        "VIEWLEDGER_METRICS_HOST" "0.0.0.0"
        "VIEWLEDGER_SQL_URL" (printf "sc://%s-sql:17073" $root.Release.Name)
        "VIEWLEDGER_ICEBERG_URL" (printf "http://%s-sql:17074" $root.Release.Name) }}
      {{- range $name, $value := merge (dict) $given $root.Values.settings $common }}
      - { name: {{ $name }}, value: {{ $value | toString | quote }} }
      {{- end }}
      {{- range .secrets }}
      - { name: {{ . }}_FILE, value: /run/secrets/viewledger/{{ . }} }
      {{- end }}
      {{- range .keyFiles }}
      {{- if (index $root.Values.keyFiles .).name }}
      - { name: {{ . }}, value: /run/secrets/viewledger/{{ . }} }
      {{- end }}
      {{- end }}
      {{- if $root.Values.hdfs.configMap }}
      - { name: HADOOP_CONF_DIR, value: /etc/hadoop }
      {{- end }}
      {{- if not (hasPrefix "local" $root.Values.spark.master) }}
      - name: VIEWLEDGER_SPARK_DRIVER_HOST
        valueFrom: { fieldRef: { fieldPath: status.podIP } }
      {{- end }}
    {{- with .ports }}
    ports:
      {{- range $name, $number := . }}
      - { name: {{ $name }}, containerPort: {{ $number }} }
      {{- end }}
    {{- end }}
    {{- with .port }}
    startupProbe: { httpGet: { path: /healthz, port: {{ . }} }, periodSeconds: 5, failureThreshold: 36 }
    livenessProbe: { httpGet: { path: /healthz, port: {{ . }} }, periodSeconds: 20, timeoutSeconds: 5 }
    readinessProbe: { httpGet: { path: /readyz, port: {{ . }} }, periodSeconds: 5, timeoutSeconds: 5 }
    {{- end }}
    volumeMounts:
      - { name: home, mountPath: /var/lib/viewledger }
      - { name: tmp, mountPath: /tmp }
      - { name: secrets, mountPath: /run/secrets/viewledger, readOnly: true }
      {{- if .state }}
      - { name: state, mountPath: /var/lib/viewledger/state }
      {{- end }}
      {{- if .checkpoints }}
      - { name: checkpoints, mountPath: /checkpoints }
      {{- end }}
      {{- if .backups }}
      - { name: backups, mountPath: /backups }
      {{- end }}
      {{- if $root.Values.hdfs.configMap }}
      - { name: hadoop, mountPath: /etc/hadoop, readOnly: true }
      {{- end }}
volumes:
  - { name: home, emptyDir: {} }
  - { name: tmp, emptyDir: {} }
  - name: secrets
    projected:
      defaultMode: 0440
      sources:
        {{- range .secrets }}
        {{- $secret := index (merge (dict) $root.Values.secrets $root.Values.noticeSecrets) . }}
        - secret: { name: {{ $secret.name }}, items: [{ key: {{ $secret.key }}, path: {{ . }} }] }
        {{- end }}
        {{- range .keyFiles }}
        {{- $secret := index $root.Values.keyFiles . }}
        {{- if $secret.name }}
        - secret: { name: {{ $secret.name }}, items: [{ key: {{ $secret.key }}, path: {{ . }} }] }
        {{- end }}
        {{- end }}
  {{- if .state }}
  - { name: state, persistentVolumeClaim: { claimName: {{ include "viewledger.stateClaim" $root }} } }
  {{- end }}
  {{- if .checkpoints }}
  - { name: checkpoints, persistentVolumeClaim: { claimName: {{ $root.Values.checkpoints.existingClaim }} } }
  {{- end }}
  {{- if .backups }}
  - { name: backups, persistentVolumeClaim: { claimName: {{ $root.Values.backup.existingClaim }} } }
  {{- end }}
  {{- if $root.Values.hdfs.configMap }}
  - { name: hadoop, configMap: { name: {{ $root.Values.hdfs.configMap }} } }
  {{- end }}
{{- end }}

{{/* A Deployment. Given: what a pod is given, and replicas, strategy, metrics (the port of /metrics) and job. */}}
{{- define "viewledger.deployment" -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .root.Release.Name }}-{{ .component }}
  labels:
    {{- include "viewledger.labels" .root | nindent 4 }}
    app.kubernetes.io/component: {{ .component }}
spec:
  {{- with .replicas }}
  replicas: {{ . }}
  {{- end }}
  strategy: {{- toYaml .strategy | nindent 4 }}
  selector:
    matchLabels:
      {{- include "viewledger.labels" .root | nindent 6 }}
      app.kubernetes.io/component: {{ .component }}
  template:
    metadata:
      labels:
        {{- include "viewledger.labels" .root | nindent 8 }}
        app.kubernetes.io/component: {{ .component }}
      annotations: { prometheus.io/job: {{ .job | quote }}, prometheus.io/port: {{ .metrics | quote }} }
    spec:
      {{- include "viewledger.pod" . | nindent 6 }}
{{- end }}

{{/* A CronJob. Given: what a pod is given, schedule, and perhaps final: the exit code that no other try may follow. */}}
{{- define "viewledger.cronjob" -}}
apiVersion: batch/v1
kind: CronJob
metadata:
  name: {{ .root.Release.Name }}-{{ .component }}
  labels:
    {{- include "viewledger.labels" .root | nindent 4 }}
    app.kubernetes.io/component: {{ .component }}
spec:
  schedule: {{ .schedule | quote }}
  timeZone: Etc/UTC
  concurrencyPolicy: Forbid
  startingDeadlineSeconds: 3600
  jobTemplate:
    spec:
      backoffLimit: 3 # refused while another command is at work: Kubernetes waits longer before each try
      {{- with .final }}
      podFailurePolicy: { rules: [{ action: FailJob, onExitCodes: { operator: In, values: [{{ . }}] } }] }
      {{- end }}
      template:
        metadata:
          labels:
            {{- include "viewledger.labels" .root | nindent 12 }}
            app.kubernetes.io/component: {{ .component }}
        spec:
          {{- include "viewledger.pod" (merge (dict "restartPolicy" "Never" "state" true) .) | nindent 10 }}
{{- end }}
