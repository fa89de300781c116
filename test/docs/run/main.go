// Command run does what the pages of this repository say: it runs every command, page by page, each page on a fresh local cluster, and gives every manifest
// to an API server. It fails when a command does, when a command prints something else than the page shows, or when a manifest is refused.
//
//   - main.go: which pages, and the cluster under them.
//   - page.go: the commands of a page.
//   - shell.go: the shell that a reader of the page types in.
//   - manifests.go: the manifests of all pages.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spillway-k8s/spillway/test/docs"
)

func main() {
	bin := flag.String("bin", "bin", "the folder with the binaries of the local cluster")
	only := flag.String("page", "", "run one page only, such as docs/quick-start.md, without the manifests of the others")
	flag.Parse()
	if err := run(*bin, *only); err != nil {
		fmt.Fprintln(os.Stderr, "docs:", err)
		os.Exit(1)
	}
}

func run(bin, only string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if _, err := exec.LookPath("curl"); err != nil {
		return fmt.Errorf("the pages use curl, which is not installed: %w", err)
	}
	bin, err := filepath.Abs(bin)
	if err != nil {
		return fmt.Errorf("finding %s: %w", bin, err)
	}
	pages, err := docs.Pages(".")
	if err != nil {
		return err
	}
	if only != "" {
		pages = slices.DeleteFunc(pages, func(p docs.Page) bool { return p.Path != only })
		if len(pages) == 0 {
			return fmt.Errorf("there is no page %s", only)
		}
	}
	// One error does not keep the other pages from being run.
	errs := []error{withCluster(bin, func() error { return checkManifests(ctx, bin, pages) })}
	for i := range pages {
		if ctx.Err() != nil {
			break
		}
		errs = append(errs, runPage(ctx, bin, &pages[i]))
	}
	tellNotRun(pages)
	return errors.Join(append(errs, ctx.Err())...)
}

// withCluster starts a fresh local cluster, does something, and stops it.
func withCluster(bin string, do func() error) (err error) {
	if err := cluster(bin, "up"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cluster(bin, "down")) }()
	return do()
}

func cluster(bin, command string) error {
	if out, err := exec.Command(filepath.Join(bin, "local-cluster"), command, bin).CombinedOutput(); err != nil {
		return fmt.Errorf("local-cluster %s: %w: %s", command, err, out)
	}
	return nil
}

// environment is that of a reader who has the binaries first in the PATH and uses the local cluster.
func environment(bin string) []string {
	env := slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "MAKE") || strings.HasPrefix(v, "MFLAGS") })
	return append(env, "PATH="+bin+":"+os.Getenv("PATH"), "KUBECONFIG="+filepath.Join(bin, "cluster", "kubeconfig"))
}

// tellNotRun lists the commands that no test runs, with the reasons.
func tellNotRun(pages []docs.Page) {
	fmt.Println("\nnot run:")
	for i := range pages {
		for j := range pages[i].Blocks {
			block := &pages[i].Blocks[j]
			if reason := block.NotRun(); reason != "" {
				fmt.Printf("  %s:%d: %s\n", pages[i].Path, block.Line, strings.ReplaceAll(reason, "-", " "))
			}
		}
	}
}

// seconds rounds a duration for people.
func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }
