package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
)

const (
	// definitionPrefix is how OpenAPI 2 refers to a type.
	definitionPrefix = "#/definitions/"
	quantity         = "io.k8s.apimachinery.pkg.api.resource.Quantity"
)

// ofSwagger returns the schemas of all kinds in an OpenAPI 2 document.
func ofSwagger(data []byte) (map[kind]schema, error) {
	var document struct {
		Definitions map[string]schema `json:"definitions"`
	}
	if err := json.Unmarshal(data, &document); err != nil {
		return nil, fmt.Errorf("decoding: %w", err)
	}
	all := map[kind]schema{}
	for name, definition := range document.Definitions {
		strict(definition)
		if name == quantity {
			definition["type"] = []any{"string", "number"}
		}
	}
	for name, definition := range document.Definitions {
		kinds, err := kindsOf(definition)
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", name, err)
		}
		if len(kinds) != 1 {
			// Not an object of its own, or one that every group has, such as DeleteOptions.
			continue
		}
		used := map[string]schema{}
		collect(document.Definitions, name, used)
		all[kinds[0]] = schema{"$ref": definitionPrefix + name, "definitions": used}
	}
	return all, nil
}

func kindsOf(definition schema) ([]kind, error) {
	data, err := json.Marshal(definition["x-kubernetes-group-version-kind"])
	if err != nil {
		return nil, err
	}
	var kinds []kind
	return kinds, json.Unmarshal(data, &kinds)
}

// collect adds a definition, and all that it refers to, to used.
func collect(all map[string]schema, name string, used map[string]schema) {
	if used[name] != nil {
		return
	}
	used[name] = maps.Clone(all[name])
	for _, other := range references(all[name]) {
		collect(all, other, used)
	}
}

func references(node any) []string {
	var names []string
	switch node := node.(type) {
	case []any:
		for _, child := range node {
			names = append(names, references(child)...)
		}
	case schema:
		if name, ok := strings.CutPrefix(fmt.Sprint(node["$ref"]), definitionPrefix); ok {
			names = append(names, name)
		}
		for _, child := range node {
			names = append(names, references(child)...)
		}
	}
	return names
}
