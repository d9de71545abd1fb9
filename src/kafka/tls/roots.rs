//! The system's roots, shared by all connections. A bundle is hundreds of files on some systems, and every broker that is
//! away is dialled again and again, so they are read at most once a minute.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use rustls::{RootCertStore, pki_types::CertificateDer};

/// How soon a bundle that changed counts for new connections.
const EVERY: Duration = Duration::from_secs(60);

static SYSTEM: Mutex<Roots> = Mutex::new(Roots { read: None });

/// The system's roots, or Mozilla's where there is no system, as in an empty image. May read files.
pub(super) fn system() -> Arc<RootCertStore> {
    let mut roots = SYSTEM.lock().unwrap_or_else(PoisonError::into_inner);
    roots.at(Instant::now(), || {
        rustls_native_certs::load_native_certs().certs
    })
}

struct Roots {
    read: Option<(Instant, Arc<RootCertStore>)>,
}

impl Roots {
    fn at(
        &mut self,
        now: Instant,
        read: impl FnOnce() -> Vec<CertificateDer<'static>>,
    ) -> Arc<RootCertStore> {
        if let Some((when, store)) = &self.read
            && now.duration_since(*when) < EVERY
        {
            return store.clone();
        }
        let store = Arc::new(public(read()));
        self.read = Some((now, store.clone()));
        store
    }
}

fn public(system: Vec<CertificateDer<'static>>) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(system);
    if roots.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    roots
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate() -> CertificateDer<'static> {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(vec!["us".to_owned()]).unwrap();
        params.self_signed(&key).unwrap().der().clone()
    }

    #[test]
    fn without_a_system_the_public_roots_are_trusted_and_with_one_it_decides() {
        assert!(public(Vec::new()).len() > 50);
        assert_eq!(public(vec![certificate()]).len(), 1);
    }

    #[test]
    fn connections_share_one_reading_of_the_bundle_and_a_rotated_one_counts_a_minute_later() {
        let mut roots = Roots { read: None };
        let start = Instant::now();
        let first = roots.at(start, || vec![certificate()]);
        let almost = start + EVERY.checked_sub(Duration::from_millis(1)).unwrap();
        let again = roots.at(almost, || panic!("read for a connection"));
        assert!(Arc::ptr_eq(&first, &again));
        let rotated = roots.at(start + EVERY, || vec![certificate(), certificate()]);
        assert_eq!(rotated.len(), 2);
    }
}
