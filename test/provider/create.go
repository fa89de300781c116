package provider

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/spillway-k8s/spillway/pkg/ecispec"
)

// The reasons of the condition ContainerInstanceCreated for a pod without an instance. ECI documents the first four ("Custom conditions").
const (
	reasonNoStock       = "NoStock"
	reasonStockClose    = "StockClose"
	reasonFailed        = "FailedScheduling"
	reasonUnknown       = "UnknownError"
	reasonQuotaExceeded = "QuotaExceeded"
	reasonIPNotEnough   = "IpNotEnough"

	codeNoStock  = "OperationDenied.NoStock"
	codeMismatch = "IdempotentParameterMismatch"
	codeNotFound = "InvalidContainerGroupId.NotFound"

	bytesInGiB = 1 << 30
)

// refusal is an answer of ECI that says why a pod gets no instance.
type refusal struct{ reason, message string }

func (r *refusal) Error() string { return r.reason + ": " + r.message }

// create creates the container group with the first of the pod's specifications that ECI has. The error is a *refusal when ECI has answered.
func (p *Provider) create(ctx context.Context, pod *corev1.Pod, at site, i *instance) error {
	bill, err := ecispec.For(pod, at.region)
	if err != nil {
		return &refusal{reasonFailed, err.Error()}
	}
	for n, spec := range bill.Specs {
		request := creation(pod, at, p.options.VSwitch(at.zone), spec)
		var id string
		id, err = p.api.create(ctx, request)
		if last := n == len(bill.Specs)-1; err != nil && !last && triesNext(err) {
			continue
		}
		answered := (*refusal)(nil)
		if err != nil && !errors.As(err, &answered) {
			i.unanswered = request
			return err
		}
		if err == nil {
			i.id, i.spec, i.unanswered = id, spec, nil
		}
		return err
	}
	return &refusal{reasonFailed, "the pod has no specification"}
}

// triesNext tells whether ECI may have the next specification of a pod. The token of another one is taken when that was created and the answer got lost.
func triesNext(err error) bool {
	var r *refusal
	return errors.As(err, &r) && (r.message == codeNoStock || r.message == codeMismatch)
}

// creation are the parameters of CreateContainerGroup, with the tags of the provider that is published.
func creation(pod *corev1.Pod, at site, vSwitch string, spec ecispec.Spec) query {
	q := query{
		"RegionId": at.region, "ZoneId": at.zone, "VSwitchId": vSwitch, "ContainerGroupName": groupName(pod), "ClientToken": string(pod.UID),
	}
	if spec.InstanceType != "" {
		q["InstanceType"] = spec.InstanceType
	} else {
		q["Cpu"] = strconv.FormatFloat(float64(spec.MilliCPU)/1000, 'f', -1, 64)
		q["Memory"] = strconv.FormatFloat(float64(spec.Memory)/bytesInGiB, 'f', -1, 64)
	}
	for n, tag := range [][2]string{{"NodeName", pod.Spec.NodeName}, {"NameSpace", pod.Namespace}, {"PodName", pod.Name}, {"UID", string(pod.UID)}} {
		q[fmt.Sprintf("Tag.%d.Key", n+1)], q[fmt.Sprintf("Tag.%d.Value", n+1)] = tag[0], tag[1]
	}
	return q
}

// reasonOf is the reason for an error code.
func reasonOf(code string) string {
	switch {
	case code == codeNoStock:
		return reasonNoStock
	case code == "Zone.NotOnSale":
		return reasonStockClose
	case strings.HasPrefix(code, "QuotaExceed"):
		return reasonQuotaExceeded
	case strings.HasSuffix(code, ".IpNotEnough"):
		return reasonIPNotEnough
	default:
		return reasonUnknown
	}
}

// groupName is the name of the container group, as long as ECI takes.
func groupName(pod *corev1.Pod) string {
	const longest = 128
	name := pod.Namespace + "-" + pod.Name
	return strings.TrimRight(name[:min(len(name), longest)], "-.")
}
