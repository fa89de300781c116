{{- define "gvList" -}}
# API reference

Which fields do `ResourcePolicy` and `VirtualNode` have, and what is allowed? Generated from [apis/](../apis) by `make generate`. Conditions and
their reasons are in [runbook.md](runbook.md).

{{ range . -}}
- {{ markdownRenderGVLink . }}{{ range .SortedKinds }}: {{ markdownRenderLocalLink . }}{{ end }}
{{ end }}
{{- range . }}
{{ template "gvDetails" . }}
{{- end }}
{{- end -}}
