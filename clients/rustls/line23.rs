//! rustls 0.23, which takes a clock of ours.
use std::sync::Arc;

use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, ClientConnection, Error, RootCertStore};

use crate::probe::Clock;

pub enum Refusal {
    Name,
    Anchor(String),
    Own(String),
    Error(Error),
}

impl TimeProvider for Clock {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(self.now()))
    }
}

pub fn connection(
    anchors: &str,
    own: Option<(&str, &str)>,
    name: &str,
    clock: Arc<Clock>,
) -> Result<ClientConnection, Refusal> {
    let mut roots = RootCertStore::empty();
    for der in CertificateDer::pem_slice_iter(anchors.as_bytes()) {
        let der = der.map_err(|error| Refusal::Anchor(error.to_string()))?;
        roots.add(der).map_err(|error| Refusal::Anchor(error.to_string()))?;
    }
    if roots.is_empty() && !anchors.is_empty() {
        return Err(Refusal::Anchor("no anchor can be read".to_string()));
    }
    let name = ServerName::try_from(name.to_string()).map_err(|_| Refusal::Name)?;
    let config = ClientConfig::builder_with_details(Arc::new(default_provider()), clock)
        .with_safe_default_protocol_versions()
        .map_err(Refusal::Error)?
        .with_root_certificates(roots);
    let config = match own {
        Some((chain, key)) => {
            let unread = |error: rustls::pki_types::pem::Error| Refusal::Own(error.to_string());
            let chain = CertificateDer::pem_slice_iter(chain.as_bytes()).collect::<Result<_, _>>().map_err(unread)?;
            let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(unread)?;
            config.with_client_auth_cert(chain, key).map_err(Refusal::Error)?
        }
        None => config.with_no_client_auth(),
    };
    ClientConnection::new(Arc::new(config), name).map_err(Refusal::Error)
}
