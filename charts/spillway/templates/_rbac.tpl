{{- /* The rules of a role as this installation needs them: a dict of root and rules. Secrets are those of the values; without authentication of who
reads the metrics, nobody is asked about. */}}
{{- define "spillway.rules" -}}
{{- $kept := list }}
{{- range .rules }}
{{- if has "secrets" .resources }}
{{- with $.root.Values.eci.secretNames }}
{{- $kept = append $kept (dict "apiGroups" (list "") "resources" (list "secrets") "resourceNames" . "verbs" (list "get")) }}
{{- end }}
{{- else if or $.root.Values.metrics.auth (not (or (has "tokenreviews" .resources) (has "subjectaccessreviews" .resources))) }}
{{- $kept = append $kept . }}
{{- end }}
{{- end }}
{{- toYaml $kept }}
{{- end }}
