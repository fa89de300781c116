package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/spillway-k8s/spillway/test/docs"
)

const (
	// commandTime is the longest that a command may take.
	commandTime = 3 * time.Minute
	// settleTime is how long what a reading command prints may differ from the page, and pause what is between two attempts.
	settleTime, pause = 40 * time.Second, 300 * time.Millisecond
)

var (
	// makes is a command that runs a target. Other gates run the targets; here it is checked that they exist.
	makes = regexp.MustCompile(`^make\b`)
	// clusters are the targets that are run: pages begin and end with them.
	clusters = regexp.MustCompile(`^make cluster-(up|down|status)\b`)
	// reads is a command that changes nothing, so that it can be run until it prints what the page shows.
	reads = regexp.MustCompile(`^(bin/)?kubectl( -n \S+| --namespace \S+)? (get|describe|logs|events)\b|^curl -s\S* \$SIM`)
	space = regexp.MustCompile(`\s+`)
)

// runPage runs the commands of a page in one shell, on a cluster of its own.
func runPage(ctx context.Context, bin string, page *docs.Page) error {
	var commands []docs.Command
	for i := range page.Blocks {
		block := &page.Blocks[i]
		if block.Language != docs.Console || block.NotRun() != "" {
			continue
		}
		more, err := block.Commands()
		if err != nil {
			return fmt.Errorf("%s: %w", page.Path, err)
		}
		commands = append(commands, more...)
	}
	if len(commands) == 0 {
		return nil
	}
	begin := time.Now()
	do := func() error {
		shell, err := openShell(environment(bin))
		if err != nil {
			return err
		}
		defer shell.close()
		for i := range commands {
			if err := runCommand(ctx, shell, &commands[i]); err != nil {
				return fmt.Errorf("%s:%d: $ %s\n%w", page.Path, commands[i].Line, commands[i].Text, err)
			}
		}
		return nil
	}
	var err error
	if needsCluster(commands) {
		err = withCluster(bin, do)
	} else {
		err = do()
	}
	verdict := "ok"
	if err != nil {
		verdict = "FAILED"
	}
	fmt.Printf("%-6s %s: %d commands, %s\n", verdict, page.Path, len(commands), seconds(time.Since(begin)))
	return err
}

// needsCluster tells whether there are commands beside make.
func needsCluster(commands []docs.Command) bool {
	for i := range commands {
		if !makes.MatchString(commands[i].Text) || clusters.MatchString(commands[i].Text) {
			return true
		}
	}
	return false
}

// runCommand runs a command and compares what it prints with the page.
func runCommand(ctx context.Context, shell *shell, command *docs.Command) error {
	text := command.Text
	if makes.MatchString(text) && !clusters.MatchString(text) {
		text = "make -n" + strings.TrimPrefix(text, "make") + " >/dev/null"
	}
	deadline := time.Now().Add(settleTime)
	for {
		out, err := shell.run(ctx, text)
		if err == nil {
			err = compare(command.Output, out)
		}
		if err == nil || !reads.MatchString(text) || len(command.Output) == 0 || time.Now().After(deadline) || ctx.Err() != nil {
			return err
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

// compare tells which line of the page a command has not printed. In the page ... stands for anything, and spaces for any number of them.
func compare(shown []string, printed string) error {
	var lines []string
	for line := range strings.SplitSeq(printed, "\n") {
		lines = append(lines, strings.TrimSpace(space.ReplaceAllString(line, " ")))
	}
	for _, line := range shown {
		words := strings.TrimSpace(space.ReplaceAllString(line, " "))
		if words == "" || words == "..." {
			continue
		}
		pattern := regexp.MustCompile("^" + strings.ReplaceAll(regexp.QuoteMeta(words), `\.\.\.`, `.*`) + "$")
		found := false
		for _, line := range lines {
			found = found || pattern.MatchString(line)
		}
		if !found {
			return errors.New("the page shows the line\n  " + line + "\nand it printed\n" + printed)
		}
	}
	return nil
}
