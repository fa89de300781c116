{{- define "rules" -}}
{{- /* What is allowed: the limits, and the sentences with which the API server refuses. */ -}}
{{- range .Validation }}{{ if not (or (hasPrefix "Optional" .) (hasPrefix "Required" .) (hasPrefix "Type:" .) (hasPrefix "XIntOrString" .)) }}{{ markdownRenderFieldDoc . | replace "<" "&lt;" }}<br />{{ end }}{{ end }}
{{- range index .Markers "kubebuilder:validation:XValidation" }}{{ markdownRenderFieldDoc .Message | replace "<" "&lt;" }}<br />{{ end }}
{{- end -}}

{{- /* The tool gives quotaCPU, a Quantity of Kubernetes, the rules of the Quantity of this repository. */ -}}
{{- define "type" }}
### {{ .Name }}

{{ .Doc }}
{{ if .References }}
Used by: {{ range $i, $t := .SortedReferences }}{{ if $i }}, {{ end }}{{ markdownRenderTypeLink $t }}{{ end }}.
{{ end }}
{{- $type := . }}
{{- with index .Markers "kubebuilder:validation:XValidation" }}
Rules:
{{ range . }}
- {{ .Message | replace "<" "&lt;" }}
{{- end }}
{{ end }}
{{- if .EnumValues }}
| value | meaning |
| --- | --- |
{{ range .EnumValues -}}
| `{{ .Name }}` | {{ markdownRenderFieldDoc .Doc | replace "<br />" " " | replace "<" "&lt;" | trim }} |
{{ end }}
{{- else if .Members }}
| field | meaning | default | allowed |
| --- | --- | --- | --- |
{{ if .GVK -}}
| `apiVersion` _string_ | `{{ .GVK.Group }}/{{ .GVK.Version }}` | | |
| `kind` _string_ | `{{ .GVK.Kind }}` | | |
{{ end -}}
{{ range .Members -}}
| `{{ .Name }}` _{{ markdownRenderType .Type }}_{{ if has "Required: {}" .Validation }}, required{{ end }} | {{ if eq .Name "metadata" }}that of every object{{ else }}{{ markdownRenderFieldDoc .Doc | replace "<br />" " " | replace "<" "&lt;" }}{{ end }} | {{ markdownRenderDefault .Default }} | {{ if not (or .Type.Fields (eq .Name "quotaCPU")) }}{{ template "rules" . }}{{ end }} |
{{ end }}
{{- else if .Validation }}
Allowed: {{ range $i, $v := .Validation }}{{ if $i }}, {{ end }}{{ $v }}{{ end }}.
{{ end }}
{{- end -}}
