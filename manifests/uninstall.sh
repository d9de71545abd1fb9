#!/bin/sh
# Takes lagscale off the cluster that kubectl leads to, in an order in which nothing hangs: its pods are told to end, and while
# they still serve, the APIService goes, or leads again to whom it was taken from. HPAs keep the replicas they have. The CRDs stay, and with them every ScaledObject;
# --with-crds deletes them all.
set -eu
namespace=lagscale
api=v1beta1.external.metrics.k8s.io
with_crds=no
for arg in "$@"; do
  case "$arg" in
    --with-crds) with_crds=yes ;;
    *) echo "usage: $0 [--with-crds]" >&2; exit 2 ;;
  esac
done

gone() { kubectl delete --ignore-not-found "$@"; }

of_api() { kubectl get apiservice "$api" --ignore-not-found -o "jsonpath=$1"; }

# The note of whom it was taken from is the patch that gives it back; where that Service is gone nobody would answer.
unregister() {
  [ "$(of_api '{.spec.service.namespace}/{.spec.service.name}')" = "$namespace/lagscale" ] || return 0
  note=$(of_api '{.metadata.annotations.lagscale\.io/predecessor}')
  if [ -n "$note" ]; then
    kubectl patch apiservice "$api" --type=merge --patch "$note" > /dev/null
    service=$(of_api '{.spec.service.name}')
    of=$(of_api '{.spec.service.namespace}')
    if kubectl get service "$service" -n "$of" > /dev/null; then
      echo "APIService $api leads to $of/$service again"
      return 0
    fi
  fi
  gone apiservice "$api"
}

gone validatingwebhookconfiguration lagscale-admission
# Told to end, no replica is the leader any more, so nobody makes the APIService again.
gone deployment lagscale -n "$namespace" --wait=false
unregister
gone apiservice v1beta1.external.metrics.lagscale.io
kubectl wait --for=delete pod -n "$namespace" -l app.kubernetes.io/name=lagscale --timeout=60s
unregister
if [ "$with_crds" = yes ]; then
  gone crd lagmetrics.lagscale.io
  gone crd scaledobjects.keda.sh triggerauthentications.keda.sh clustertriggerauthentications.keda.sh
fi
gone clusterrolebinding lagscale lagscale-secrets lagscale-scale lagscale-scale-apps lagscale-cluster lagscale-registration \
  lagscale:system:auth-delegator lagscale-hpa-controller lagscale-delegate
gone clusterrole lagscale lagscale-secrets lagscale-scale lagscale-scale-apps lagscale-cluster lagscale-registration \
  lagscale-external-metrics-reader lagscale-metrics-reader lagscale-view lagscale-edit
gone flowschema lagscale lagscale-lease
gone priorityclass lagscale
gone rolebinding lagscale-auth-reader -n kube-system
gone namespace "$namespace"
echo "lagscale is gone"
