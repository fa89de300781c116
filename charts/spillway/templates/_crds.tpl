{{- /* Whether a CRD of the cluster is not of this release: "true" or nothing. A dict of root and name. */}}
{{- define "spillway.crdIsForeign" -}}
{{- with lookup "apiextensions.k8s.io/v1" "CustomResourceDefinition" "" .name }}
{{- $owner := .metadata.annotations | default dict }}
{{- if or (ne (get $owner "meta.helm.sh/release-name") $.root.Release.Name) (ne (get $owner "meta.helm.sh/release-namespace") $.root.Release.Namespace) }}true{{ end }}
{{- end }}
{{- end }}

{{- /* Fails when a CRD that this release does not install cannot be used: a dict of root and name. */}}
{{- define "spillway.checkCRD" -}}
{{- $crd := lookup "apiextensions.k8s.io/v1" "CustomResourceDefinition" "" .name }}
{{- /* Every cluster has this role; without one there is no cluster to look at (helm template). */}}
{{- if and (not $crd) (lookup "rbac.authorization.k8s.io/v1" "ClusterRole" "" "system:kube-scheduler") }}
{{- fail (printf "crds.enabled: false, and the cluster has no CRD %s: install it first, or set crds.enabled=true" .name) }}
{{- end }}
{{- if $crd }}
{{- $usable := false }}
{{- range $crd.spec.versions }}
{{- if and (eq .name "v1alpha1") .served (hasKey (.subresources | default dict) "status") }}{{ $usable = true }}{{ end }}
{{- end }}
{{- if not $usable }}
{{- fail (printf "CRD %s is not of this release and cannot be used: it must serve v1alpha1 with the subresource status; upgrade it with what installed it, or delete it" .name) }}
{{- end }}
{{- end }}
{{- end }}
