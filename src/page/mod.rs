//! The status page: all objects at a glance, and one with its last hour, for a browser on this host or at the other end of
//! `kubectl port-forward`, which kube-apiserver lets nobody use who may not. It changes nothing.

mod history;
mod port;
mod view;

pub use port::serve;
pub use view::Sources;
