// Command helmschemas writes the JSON schemas that kubeconform validates the rendered chart with: one file for each kind of Kubernetes, from the OpenAPI
// document of a release, or for each kind of a CustomResourceDefinition. They refuse fields that the API does not have.
//
//	helmschemas --out=DIR swagger.json [CRD.yaml...]
//
// The file of a kind is DIR/GROUP/KIND_VERSION.json in lower case; the core group is named after its version, as kubeconform does.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// schema is a JSON schema or a part of one.
type schema = map[string]any

// kind is what a schema is of.
type kind struct {
	Group   string `json:"group"`
	Version string `json:"version"`
	Kind    string `json:"kind"`
}

func main() {
	out := flag.String("out", "", "directory to write to")
	flag.Parse()
	if err := run(*out, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "helmschemas:", err)
		os.Exit(1)
	}
}

func run(out string, files []string) error {
	if out == "" || len(files) == 0 {
		return errors.New("--out and at least one file are needed: the swagger.json of Kubernetes, or CustomResourceDefinitions in YAML")
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return fmt.Errorf("reading %s: %w", file, err)
		}
		schemas, err := ofSwagger, error(nil)
		if filepath.Ext(file) != ".json" {
			schemas = ofCRD
		}
		all, err := schemas(data)
		if err != nil {
			return fmt.Errorf("reading %s: %w", file, err)
		}
		for of, s := range all {
			if err := write(out, of, s); err != nil {
				return err
			}
		}
	}
	return nil
}

func write(out string, of kind, s schema) error {
	group := of.Group
	if group == "" {
		group = of.Version
	}
	path := filepath.Join(out, group, strings.ToLower(of.Kind)+"_"+of.Version+".json")
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("making the directory of %s: %w", path, err)
	}
	data, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("encoding %s: %w", path, err)
	}
	return os.WriteFile(path, data, 0o644)
}

// strict makes a schema of OpenAPI one that refuses unknown fields and takes what the API server takes: numbers for quantities and for ports, and null.
func strict(node any) {
	switch node := node.(type) {
	case []any:
		for _, child := range node {
			strict(child)
		}
	case schema:
		for _, child := range node {
			strict(child)
		}
		if format, ok := node["format"].(string); ok && format == "int-or-string" || node["x-kubernetes-int-or-string"] == true {
			delete(node, "format")
			node["type"] = []any{"string", "integer"}
		}
		properties, ok := node["properties"].(schema)
		if ok && node["type"] == "object" && node["additionalProperties"] == nil && node["x-kubernetes-preserve-unknown-fields"] != true && len(properties) > 0 {
			node["additionalProperties"] = false
		}
	}
}
