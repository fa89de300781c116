module github.com/spillway-k8s/spillway/hack/tools/lint

go 1.26.0
