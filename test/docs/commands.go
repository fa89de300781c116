package docs

import (
	"bytes"
	"fmt"
	"os/exec"
	"strings"
)

// prompt begins the first line of a command.
const prompt = "$ "

// Command is what a reader types, and what the page says is printed.
type Command struct {
	// Line is the number of its first line in the page.
	Line int
	// Text is the command without its prompt; it may have several lines.
	Text string
	// Output are the lines that the page shows after it.
	Output []string
}

// Commands returns the commands of a console block. A command goes on over lines until bash finds it complete: here-documents, loops, quotes, backslashes.
func (b *Block) Commands() ([]Command, error) {
	var commands []Command
	complete := true
	for i, line := range b.Lines {
		text, begins := strings.CutPrefix(line, prompt)
		switch {
		case !complete:
			last := &commands[len(commands)-1]
			last.Text += "\n" + line
			complete = isComplete(last.Text)
		case begins:
			commands = append(commands, Command{Line: b.Line + i, Text: text})
			complete = isComplete(text)
		case len(commands) == 0:
			return nil, fmt.Errorf("line %d: a console block begins with a command, after %q", b.Line+i, prompt)
		default:
			last := &commands[len(commands)-1]
			last.Output = append(last.Output, line)
		}
	}
	if len(commands) == 0 {
		return nil, fmt.Errorf("line %d: a console block has no command", b.Line)
	}
	if last := commands[len(commands)-1]; !complete {
		return nil, fmt.Errorf("line %d: the command is not complete: %s", last.Line, last.Text)
	}
	return commands, nil
}

// isComplete asks bash. For a here-document without its end bash has a warning only.
func isComplete(text string) bool {
	if strings.HasSuffix(text, "\\") {
		return false
	}
	var complaint bytes.Buffer
	check := exec.Command("bash", "-n")
	check.Stdin, check.Stderr = strings.NewReader(text+"\n"), &complaint
	return check.Run() == nil && complaint.Len() == 0
}
