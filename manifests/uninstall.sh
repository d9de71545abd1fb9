#!/bin/sh
# Takes lagscale off the cluster that kubectl leads to, in an order in which nothing hangs: its pods are told to end, and while
# they still serve, the APIService goes. HPAs keep the replicas they have. The CRDs stay, and with them every ScaledObject;
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

unregister() {
  owner=$(kubectl get apiservice "$api" --ignore-not-found -o 'jsonpath={.spec.service.namespace}/{.spec.service.name}')
  case "$owner" in
    "$namespace/lagscale") gone apiservice "$api" ;;
    ''|/) ;;
    *) echo "APIService $api leads to $owner: left alone" ;;
  esac
}

gone validatingwebhookconfiguration lagscale-admission
# Told to end, no replica is the leader any more, so nobody makes the APIService again.
gone deployment lagscale -n "$namespace" --wait=false
unregister
kubectl wait --for=delete pod -n "$namespace" -l app.kubernetes.io/name=lagscale --timeout=60s
unregister
if [ "$with_crds" = yes ]; then
  gone crd lagmetrics.lagscale.io
  gone crd scaledobjects.keda.sh triggerauthentications.keda.sh clustertriggerauthentications.keda.sh
fi
gone clusterrolebinding lagscale lagscale-secrets lagscale-scale lagscale-scale-apps lagscale-cluster lagscale-registration \
  lagscale:system:auth-delegator lagscale-hpa-controller
gone clusterrole lagscale lagscale-secrets lagscale-scale lagscale-scale-apps lagscale-cluster lagscale-registration \
  lagscale-external-metrics-reader lagscale-metrics-reader lagscale-view lagscale-edit
gone flowschema lagscale lagscale-lease
gone priorityclass lagscale
gone rolebinding lagscale-auth-reader -n kube-system
gone namespace "$namespace"
echo "lagscale is gone"
