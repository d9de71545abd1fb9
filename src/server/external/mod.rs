//! lagscale as an external scaler of KEDA (gRPC, `externalscaler.proto`), for clusters whose KEDA keeps the APIService and for ScaledJobs. Whoever
//! asks may name any authentication, so nobody is answered without a certificate of the CA that was given for KEDA.

mod messages;
mod methods;
mod port;
#[cfg(test)]
mod tests;

pub use port::{ExternalScaler, ExternalScalerError, ExternalScalerParts};
