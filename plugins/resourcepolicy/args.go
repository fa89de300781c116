package resourcepolicy

import (
	"fmt"

	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	"github.com/spillway-k8s/spillway/pkg/placement"
)

// args are the arguments of the ResourcePolicy plugin in a KubeSchedulerConfiguration. The controller has a flag of the
// same name.
type args struct {
	// AllowedPodKeys are the keys that units may write on pods, as placement.ParsePodKeys takes them. Absent: the
	// default.
	AllowedPodKeys *[]string `json:"allowedPodKeys,omitempty"`
}

// allowedPodKeys returns the keys that the arguments of the plugin allow. An argument that is not known is an error:
// the list would be another one than its author believes.
func allowedPodKeys(arguments runtime.Object) (*placement.PodKeys, error) {
	var a args
	switch given := arguments.(type) {
	case nil:
	case *runtime.Unknown:
		if err := yaml.UnmarshalStrict(given.Raw, &a); err != nil {
			return nil, fmt.Errorf("decoding: %w", err)
		}
	default:
		return nil, fmt.Errorf("arguments of type %T: must be a map with the key allowedPodKeys", given)
	}
	if a.AllowedPodKeys == nil {
		return placement.DefaultPodKeys(), nil
	}
	keys, err := placement.ParsePodKeys(*a.AllowedPodKeys)
	if err != nil {
		return nil, fmt.Errorf("allowedPodKeys: %w", err)
	}
	return keys, nil
}
