package main

import (
	"fmt"

	"sigs.k8s.io/yaml"
)

// ofCRD returns the schemas of the versions of a CustomResourceDefinition.
func ofCRD(data []byte) (map[kind]schema, error) {
	var crd struct {
		Spec struct {
			Group string `json:"group"`
			Names struct {
				Kind string `json:"kind"`
			} `json:"names"`
			Versions []struct {
				Name   string `json:"name"`
				Schema struct {
					OpenAPIV3Schema schema `json:"openAPIV3Schema"`
				} `json:"schema"`
			} `json:"versions"`
		} `json:"spec"`
	}
	if err := yaml.Unmarshal(data, &crd); err != nil {
		return nil, fmt.Errorf("decoding: %w", err)
	}
	if crd.Spec.Names.Kind == "" || len(crd.Spec.Versions) == 0 {
		return nil, fmt.Errorf("kind %q with %d versions: must be a CustomResourceDefinition", crd.Spec.Names.Kind, len(crd.Spec.Versions))
	}
	all := map[kind]schema{}
	for _, version := range crd.Spec.Versions {
		s := version.Schema.OpenAPIV3Schema
		strict(s)
		all[kind{Group: crd.Spec.Group, Version: version.Name, Kind: crd.Spec.Names.Kind}] = s
	}
	return all, nil
}
