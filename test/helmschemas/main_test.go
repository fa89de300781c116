package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSwagger(t *testing.T) {
	got, err := ofSwagger([]byte(`{"definitions": {
		"io.k8s.Pod": {"type": "object", "x-kubernetes-group-version-kind": [{"group": "", "version": "v1", "kind": "Pod"}],
			"properties": {"port": {"$ref": "#/definitions/io.k8s.IntOrString"}, "labels": {"type": "object", "additionalProperties": {"type": "string"}}}},
		"io.k8s.IntOrString": {"type": "string", "format": "int-or-string"},
		"io.k8s.Unused": {"type": "object"},
		"io.k8s.DeleteOptions": {"type": "object", "x-kubernetes-group-version-kind": [
			{"group": "", "version": "v1", "kind": "DeleteOptions"}, {"group": "apps", "version": "v1", "kind": "DeleteOptions"}]}}}`))
	if err != nil {
		t.Fatal(err)
	}
	want := map[kind]schema{{Version: "v1", Kind: "Pod"}: {
		"$ref": "#/definitions/io.k8s.Pod",
		"definitions": map[string]schema{
			"io.k8s.Pod": {
				"type": "object", "additionalProperties": false,
				"x-kubernetes-group-version-kind": []any{schema{"group": "", "version": "v1", "kind": "Pod"}},
				"properties": schema{
					"port":   schema{"$ref": "#/definitions/io.k8s.IntOrString"},
					"labels": schema{"type": "object", "additionalProperties": schema{"type": "string"}},
				},
			},
			"io.k8s.IntOrString": {"type": []any{"string", "integer"}},
		},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("schemas (-want +got):\n%s", diff)
	}
}

func TestCRD(t *testing.T) {
	got, err := ofCRD([]byte(`
spec:
  group: example.com
  names: {kind: Thing}
  versions:
    - name: v1
      schema:
        openAPIV3Schema:
          type: object
          properties:
            spec: {type: object, properties: {size: {x-kubernetes-int-or-string: true}}}
            any: {type: object, x-kubernetes-preserve-unknown-fields: true, properties: {a: {type: string}}}
`))
	if err != nil {
		t.Fatal(err)
	}
	want := map[kind]schema{{Group: "example.com", Version: "v1", Kind: "Thing"}: {
		"type": "object", "additionalProperties": false,
		"properties": schema{
			"spec": schema{
				"type": "object", "additionalProperties": false,
				"properties": schema{"size": schema{"x-kubernetes-int-or-string": true, "type": []any{"string", "integer"}}},
			},
			"any": schema{"type": "object", "x-kubernetes-preserve-unknown-fields": true, "properties": schema{"a": schema{"type": "string"}}},
		},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("schemas (-want +got):\n%s", diff)
	}
}

func TestNoCRD(t *testing.T) {
	_, err := ofCRD([]byte("kind: ConfigMap"))
	if err == nil || err.Error() != `kind "" with 0 versions: must be a CustomResourceDefinition` {
		t.Errorf("error %v", err)
	}
}
