{{- define "gvDetails" -}}
## {{ .GroupVersionString }}

{{ .Doc }}
{{ range .SortedTypes }}
{{- if and .GVK (markdownShouldRenderType .) }}{{ template "type" . }}{{ end }}
{{- end }}
{{- range .SortedTypes }}
{{- if and (not .GVK) (markdownShouldRenderType .) }}{{ template "type" . }}{{ end }}
{{- end }}
{{- end -}}
