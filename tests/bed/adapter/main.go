// An adapter of external metrics on the library that prometheus-adapter and Datadog's agent are made with. In every namespace it
// knows one metric, which it also lists.
package main

import (
	"context"
	"os"

	"k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/klog/v2"
	"k8s.io/metrics/pkg/apis/external_metrics"

	"sigs.k8s.io/custom-metrics-apiserver/pkg/cmd"
	"sigs.k8s.io/custom-metrics-apiserver/pkg/provider"
)

const known = "queue_depth"

type queue struct{}

func (queue) GetExternalMetric(_ context.Context, _ string, _ labels.Selector, info provider.ExternalMetricInfo) (*external_metrics.ExternalMetricValueList, error) {
	if info.Metric != known {
		return nil, errors.NewNotFound(schema.GroupResource{Group: "external.metrics.k8s.io"}, info.Metric)
	}
	value := external_metrics.ExternalMetricValue{
		MetricName:   known,
		MetricLabels: map[string]string{"queue": "letters"},
		Timestamp:    metav1.Now(),
		Value:        *resource.NewQuantity(42, resource.DecimalSI),
	}
	return &external_metrics.ExternalMetricValueList{Items: []external_metrics.ExternalMetricValue{value}}, nil
}

func (queue) ListAllExternalMetrics() []provider.ExternalMetricInfo {
	return []provider.ExternalMetricInfo{{Metric: known}}
}

func main() {
	adapter := &cmd.AdapterBase{Name: "adapter"}
	if err := adapter.Flags().Parse(os.Args); err != nil {
		klog.Fatal(err)
	}
	adapter.WithExternalMetrics(queue{})
	if err := adapter.Run(context.Background()); err != nil {
		klog.Fatal(err)
	}
}
