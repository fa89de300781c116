package main

import (
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const podColumns = "name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos,pod_phase,creation_time,deletion_time,scheduled_time\n"

func TestParsePods(t *testing.T) {
	got, err := parsePods("pods.csv", strings.NewReader(podColumns+
		"a,12000,16384,1,1000,,LS,Running,0,500,20\n"+
		"pending,6000,12288,0,0,,BE,Pending,100,150,\n"+
		"goes-on,1,2,0,0,,BE,Running,7,,9\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := []tracePod{
		{Name: "a", amount: amount{12000, 16384, 1}, Created: 0, Lifetime: 480},
		{Name: "pending", amount: amount{6000, 12288, 0}, Created: 100, Lifetime: 50},
		{Name: "goes-on", amount: amount{1, 2, 0}, Created: 7, Lifetime: forever - 9},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(tracePod{})); diff != "" {
		t.Errorf("pods (-want +got):\n%s", diff)
	}
}

func TestParseMachines(t *testing.T) {
	// Columns are found by their names.
	got, err := parseMachines("nodes.csv", strings.NewReader("model,gpu,sn,memory_mib,cpu_milli\n,0,n-0,262144,32000\nT4,2,n-1,524288,104000\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := []machine{{Name: "n-0", amount: amount{32000, 262144, 0}}, {Name: "n-1", Model: "T4", amount: amount{104000, 524288, 2}}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(machine{})); diff != "" {
		t.Errorf("machines (-want +got):\n%s", diff)
	}
}

func TestParseBadInput(t *testing.T) {
	pods := func(file string, r io.Reader) error { _, err := parsePods(file, r); return err }
	machines := func(file string, r io.Reader) error { _, err := parseMachines(file, r); return err }
	const good = "a,1,2,0,0,,LS,Running,0,5,0\n"
	for name, tc := range map[string]struct {
		parse func(string, io.Reader) error
		text  string
		want  string
	}{
		"empty file": {
			parse: pods,
			want:  "t.csv: line 1 must name the columns name, cpu_milli, memory_mib, num_gpu, creation_time, deletion_time, scheduled_time: EOF",
		},
		"no pods":          {parse: pods, text: podColumns, want: "t.csv: it must have a line behind the names of the columns"},
		"a column missing": {parse: machines, text: "sn,cpu_milli,gpu\n", want: "t.csv: line 1 must name the column memory_mib; it names sn, cpu_milli, gpu"},
		"no number": {
			parse: pods, text: podColumns + good + "b,many,2,0,0,,LS,Running,0,5,0\n",
			want: `t.csv: line 3, column cpu_milli: "many" must be a whole number from 0`,
		},
		"below zero": {
			parse: pods, text: podColumns + "b,1,-2,0,0,,LS,Running,0,5,0\n",
			want: `t.csv: line 2, column memory_mib: "-2" must be a whole number from 0`,
		},
		"a fraction": {
			parse: pods, text: podColumns + "b,1,2,0.5,0,,LS,Running,0,5,0\n",
			want: `t.csv: line 2, column num_gpu: "0.5" must be a whole number from 0`,
		},
		"absurdly large": {
			parse: pods, text: podColumns + "b,9223372036854775807,2,0,0,,LS,Running,0,5,0\n",
			want: `t.csv: line 2, column cpu_milli: "9223372036854775807" must be a whole number from 0`,
		},
		"no name": {
			parse: pods, text: podColumns + ",1,2,0,0,,LS,Running,0,5,0\n",
			want: `t.csv: line 2, column name: "" must not be empty`,
		},
		"no creation time": {
			parse: pods, text: podColumns + "b,1,2,0,0,,LS,Running,,5,0\n",
			want: `t.csv: line 2, column creation_time: "" must be a whole number from 0`,
		},
		"runs before it is": {
			parse: pods, text: podColumns + "b,1,2,0,0,,LS,Running,10,20,9\n",
			want: `t.csv: line 2, column scheduled_time: "9" must not be before creation_time, 10`,
		},
		"ends before": {
			parse: pods, text: podColumns + "b,1,2,0,0,,LS,Running,10,20,21\n",
			want: `t.csv: line 2, column deletion_time: "20" must not be before the pod runs, 21`,
		},
		"too few cells": {
			parse: pods, text: podColumns + good + "b,1\n",
			want: "t.csv: record on line 3: wrong number of fields",
		},
		"a machine of no size": {
			parse: machines, text: "sn,cpu_milli,memory_mib,gpu,model\nn,0,1,0,\n", want: `t.csv: line 2, column cpu_milli: "0" must not be 0`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			err := tc.parse("t.csv", strings.NewReader(tc.text))
			if err == nil || err.Error() != tc.want {
				t.Errorf("got error %v\nwant      %s", err, tc.want)
			}
		})
	}
}
