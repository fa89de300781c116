// Package crds keeps the Prometheus operator in go.mod: the chart is validated with the CRDs in the files of this module.
package crds

import _ "github.com/prometheus-operator/prometheus-operator/pkg/versionutil"
