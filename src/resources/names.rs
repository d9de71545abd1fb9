//! Labels, annotations and finalizers that KEDA and lagscale have in common.

/// The label that names the ScaledObject of an HPA, of a metric's selector, and of the object itself.
pub const SCALED_OBJECT: &str = "scaledobject.keda.sh/name";
/// The annotation by which an object takes an HPA that somebody else made.
pub const TRANSFER: &str = "scaledobject.keda.sh/transfer-hpa-ownership";
/// On every object that KEDA handles. Nobody else takes it off once KEDA is gone.
pub const FINALIZER: &str = "finalizer.keda.sh";
/// The recommended label of who manages an object.
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// On a ClusterTriggerAuthentication: consent to `unsafeSsl`.
pub const ALLOW_UNSAFE_SSL: &str = "lagscale.io/allow-unsafe-ssl";
/// On a ClusterTriggerAuthentication: consent to a password in the clear.
pub const ALLOW_PLAIN: &str = "lagscale.io/allow-plain-without-tls";
/// On a ScaledObject that is lagscale's, beside a KEDA that leaves objects with this label alone. It is not copied to the HPA: KEDA's
/// operator sees HPAs by the same selector, and would make one anew that it can't see when the object is its own again.
pub const OWNER: &str = "lagscale.io/owner";
/// KEDA's operator: the value of [`MANAGED_BY`], the reporter of events, the container of its Deployment.
pub const OPERATOR: &str = "keda-operator";
