package main

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"strings"
)

// forever is the deletion time of a pod that the trace does not see end.
const forever = math.MaxInt64

// amount is what a pod requests or a machine has.
type amount struct {
	MilliCPU, MemoryMiB, GPUs int64
}

// tracePod is a pod of the trace. Times are in seconds of the trace.
type tracePod struct {
	Name string
	amount
	// Created is when the pod came. Lifetime is how long it ran, from when it was scheduled; where the trace does not see it scheduled, from its creation.
	Created, Lifetime int64
}

// machine is a node of the trace.
type machine struct {
	Name, Model string
	amount
}

// table is a CSV file whose first line names the columns. After the first error, which names the place, it returns empty values.
type table struct {
	file    string
	reader  *csv.Reader
	columns map[string]int
	row     []string
	err     error
}

// readFile reads a file with one of the two parsers below.
func readFile[T any](path string, parse func(string, io.Reader) ([]T, error)) ([]T, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading the trace: %w", err)
	}
	defer func() { _ = file.Close() }()
	return parse(path, file)
}

// parsePods reads the pods of a trace in the order of the file.
func parsePods(file string, r io.Reader) ([]tracePod, error) {
	t := openTable(file, r, "name", "cpu_milli", "memory_mib", "num_gpu", "creation_time", "deletion_time", "scheduled_time")
	var all []tracePod
	for t.next() {
		p := tracePod{Name: t.text("name"), amount: amount{t.number("cpu_milli"), t.number("memory_mib"), t.number("num_gpu")}, Created: t.number("creation_time")}
		from := t.numberOr("scheduled_time", p.Created)
		until := t.numberOr("deletion_time", forever)
		if t.err == nil && from < p.Created {
			t.fail("scheduled_time", fmt.Sprintf("must not be before creation_time, %d", p.Created))
		}
		if t.err == nil && until < from {
			t.fail("deletion_time", fmt.Sprintf("must not be before the pod runs, %d", from))
		}
		p.Lifetime = until - from
		all = append(all, p)
	}
	return result(t, all)
}

// parseMachines reads the nodes of a trace in the order of the file.
func parseMachines(file string, r io.Reader) ([]machine, error) {
	t := openTable(file, r, "sn", "cpu_milli", "memory_mib", "gpu", "model")
	var all []machine
	for t.next() {
		size := amount{t.number("cpu_milli"), t.number("memory_mib"), t.number("gpu")}
		if t.err == nil && size.MilliCPU == 0 {
			t.fail("cpu_milli", "must not be 0")
		}
		all = append(all, machine{Name: t.text("sn"), Model: t.cell("model"), amount: size})
	}
	return result(t, all)
}

func result[T any](t *table, all []T) ([]T, error) {
	if t.err != nil {
		return nil, t.err
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s: it must have a line behind the names of the columns", t.file)
	}
	return all, nil
}

// openTable reads the names of the columns, of which these must be there.
func openTable(file string, r io.Reader, columns ...string) *table {
	t := &table{file: file, reader: csv.NewReader(r), columns: map[string]int{}}
	t.reader.ReuseRecord = true
	header, err := t.reader.Read()
	if err != nil {
		t.err = fmt.Errorf("%s: line 1 must name the columns %s: %w", file, strings.Join(columns, ", "), err)
		return t
	}
	for i, name := range header {
		t.columns[strings.TrimSpace(name)] = i
	}
	for _, name := range columns {
		if _, ok := t.columns[name]; !ok {
			t.err = fmt.Errorf("%s: line 1 must name the column %s; it names %s", file, name, strings.Join(header, ", "))
			return t
		}
	}
	return t
}

// next goes to the next line.
func (t *table) next() bool {
	if t.err != nil {
		return false
	}
	row, err := t.reader.Read()
	if errors.Is(err, io.EOF) {
		return false
	}
	if err != nil {
		t.err = fmt.Errorf("%s: %w", t.file, err) // It names the line.
		return false
	}
	t.row = row
	return true
}

func (t *table) cell(column string) string {
	if t.err != nil {
		return ""
	}
	// The memory of the row is used again for the next one.
	return strings.Clone(strings.TrimSpace(t.row[t.columns[column]]))
}

func (t *table) text(column string) string {
	text := t.cell(column)
	if text == "" {
		t.fail(column, "must not be empty")
	}
	return text
}

func (t *table) number(column string) int64 {
	value, err := strconv.ParseInt(t.cell(column), 10, 64)
	// Sums of a million pods stay in range.
	if err != nil || value < 0 || value > math.MaxInt64>>20 {
		t.fail(column, "must be a whole number from 0")
		return 0
	}
	return value
}

// numberOr returns the other number where the cell is empty.
func (t *table) numberOr(column string, empty int64) int64 {
	if t.cell(column) == "" {
		return empty
	}
	return t.number(column)
}

// fail notes the first error, with the place and the value.
func (t *table) fail(column, allowed string) {
	if t.err == nil {
		line, _ := t.reader.FieldPos(t.columns[column])
		t.err = fmt.Errorf("%s: line %d, column %s: %.100q %s", t.file, line, column, t.cell(column), allowed)
	}
}
