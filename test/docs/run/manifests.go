package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/spillway-k8s/spillway/test/docs"
)

// scratch is the namespace in which the policies of the pages are tried.
const scratch = "docs-manifests"

// checkManifests gives each manifest of the pages to the API server, and waits until each ResourcePolicy is acted on.
func checkManifests(ctx context.Context, bin string, pages []docs.Page) error {
	k := kubectl{ctx: ctx, path: filepath.Join(bin, "kubectl"), env: environment(bin)}
	if err := k.run("", "create", "namespace", scratch); err != nil {
		return err
	}
	begin, count := time.Now(), 0
	var errs []error
	for i := range pages {
		for j := range pages[i].Blocks {
			block := &pages[i].Blocks[j]
			if block.Language != docs.YAML || block.Is(docs.Fragment) || block.Is(docs.Foreign) {
				continue
			}
			for document := range strings.SplitSeq(strings.Join(block.Lines, "\n"), "\n---\n") {
				count++
				if err := k.check(document); err != nil {
					errs = append(errs, fmt.Errorf("%s:%d: %w", pages[i].Path, block.Line, err))
				}
			}
		}
	}
	fmt.Printf("%d manifests, %d refused, %s\n", count, len(errs), seconds(time.Since(begin)))
	return errors.Join(errs...)
}

type kubectl struct {
	ctx  context.Context
	path string
	env  []string
}

func (k *kubectl) run(input string, args ...string) error {
	_, err := k.output(input, args...)
	return err
}

func (k *kubectl) output(input string, args ...string) (string, error) {
	command := exec.CommandContext(k.ctx, k.path, args...)
	command.Env, command.Stdin = k.env, strings.NewReader(input)
	out, err := command.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("kubectl %s: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(out))
	}
	return string(out), nil
}

// check tries one manifest.
func (k *kubectl) check(manifest string) error {
	object := &unstructured.Unstructured{}
	if err := yaml.UnmarshalStrict([]byte(manifest), &object.Object); err != nil {
		return fmt.Errorf("decoding the manifest: %w", err)
	}
	if object.GetNamespace() != "" || object.GetKind() == "ResourcePolicy" {
		object.SetNamespace(scratch)
	}
	content, err := yaml.Marshal(object.Object)
	if err != nil {
		return fmt.Errorf("encoding the manifest: %w", err)
	}
	manifest = string(content)
	if object.GetKind() != "ResourcePolicy" {
		return k.run(manifest, "create", "--dry-run=server", "--validate=strict", "-f", "-")
	}
	if err := k.run(manifest, "create", "--validate=strict", "-f", "-"); err != nil {
		return err
	}
	policy := "resourcepolicy/" + object.GetName()
	if err = k.run("", "wait", "--for=condition=Ready", "--timeout=20s", "-n", scratch, policy); err != nil {
		why, _ := k.output("", "get", "-n", scratch, policy, "-o", `jsonpath={.status.conditions[?(@.type=="Ready")].message}`)
		err = fmt.Errorf("the policy is not acted on: %s: %w", why, err)
	}
	return errors.Join(err, k.run("", "delete", "-n", scratch, policy))
}
