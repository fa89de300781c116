{{- /* The labels of an object: a dict of root and name, and component for what runs. */}}
{{- define "spillway.labels" -}}
app.kubernetes.io/name: {{ .name }}
{{- include "spillway.commonLabels" .root | nindent 0 }}
{{- with .component }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end }}

{{- define "spillway.commonLabels" -}}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: spillway
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- /* An image: a dict of root and name. */}}
{{- define "spillway.image" -}}
{{ required "image.repository is empty: build the images with the Dockerfile, push them to a registry of yours, and name it" .root.Values.image.repository }}/{{ .name }}:{{ .root.Values.image.tag | default .root.Chart.AppVersion }}
{{- end }}

{{- /* The minor version that the scheduler emulates. Some clouds append to the numbers: 34+. */}}
{{- define "spillway.emulatedVersion" -}}
{{- $version := .Capabilities.KubeVersion }}
{{- .Values.scheduler.emulatedVersion | default (printf "%s.%s" (regexFind "[0-9]+" $version.Major) (regexFind "[0-9]+" $version.Minor)) }}
{{- end }}

{{- define "spillway.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "spillway.securityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities:
  drop: [ALL]
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- /* What the pods of both have in common but for their containers: a dict of root, name, component and values. */}}
{{- define "spillway.pod" -}}
serviceAccountName: {{ .name }}
automountServiceAccountToken: true
{{- with .values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
terminationGracePeriodSeconds: {{ .values.terminationGracePeriodSeconds }}
securityContext: {{- include "spillway.podSecurityContext" . | nindent 2 }}
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.topologySpreadConstraints }}
topologySpreadConstraints: {{- toYaml . | nindent 2 }}
{{- end }}
affinity:
  {{- if .values.affinity }}
  {{- toYaml .values.affinity | nindent 2 }}
  {{- else }}
  podAntiAffinity:
    preferredDuringSchedulingIgnoredDuringExecution:
      - weight: 100
        podAffinityTerm:
          topologyKey: kubernetes.io/hostname
          labelSelector:
            matchLabels: {app.kubernetes.io/name: {{ .name }}}
  {{- end }}
{{- end }}

{{- /* The labels of a pod: those of the user first, so that none of them takes the place of one of the chart. */}}
{{- define "spillway.podLabels" -}}
{{- with .values.podLabels }}
{{- toYaml . }}
{{ end -}}
app.kubernetes.io/name: {{ .name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
app.kubernetes.io/part-of: spillway
{{- end }}
