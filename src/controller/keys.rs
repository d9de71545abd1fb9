//! Under which keys objects are kept.

/// Namespace and name.
pub(super) type ObjectKey = (String, String);

/// No name of an object has a slash, so a LagMetric is not taken for the ScaledObject of its name.
const LAG_METRIC: &str = "lagmetrics/";

/// The key of a LagMetric beside ScaledObjects.
pub(super) fn of_lag_metric((namespace, name): ObjectKey) -> ObjectKey {
    (namespace, format!("{LAG_METRIC}{name}"))
}

/// The name of the LagMetric of this key; `None` where it is that of a ScaledObject.
pub(super) fn lag_metric_name((_, name): &ObjectKey) -> Option<&str> {
    name.strip_prefix(LAG_METRIC)
}

/// The key of an object's samples.
pub(super) fn of_samples((namespace, name): &ObjectKey) -> String {
    format!("{namespace}/{name}")
}
