//! rustls 0.20, whose verifier is told the time by who calls it.
use std::convert::TryFrom;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::SystemTime;

use rustls::client::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier, ServerName, WebPkiVerifier,
};
use rustls::internal::msgs::handshake::DigitallySignedStruct;
use rustls::{Certificate, ClientConfig, ClientConnection, Error, PrivateKey, RootCertStore, SignatureScheme};

use crate::probe::Clock;

pub enum Refusal {
    Name,
    Anchor(String),
    Own(String),
    Error(Error),
}

/// rustls's own verifier, asked for the probe's time instead of today's; all else is passed on.
struct At {
    verifier: WebPkiVerifier,
    clock: Arc<Clock>,
}

impl ServerCertVerifier for At {
    fn verify_server_cert(
        &self,
        end_entity: &Certificate,
        intermediates: &[Certificate],
        server_name: &ServerName,
        scts: &mut dyn Iterator<Item = &[u8]>,
        ocsp_response: &[u8],
        _now: SystemTime,
    ) -> Result<ServerCertVerified, Error> {
        let now = SystemTime::UNIX_EPOCH + self.clock.now();
        self.verifier.verify_server_cert(end_entity, intermediates, server_name, scts, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &Certificate,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &Certificate,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }

    fn request_scts(&self) -> bool {
        self.verifier.request_scts()
    }
}

/// The client's own certificates, and the key to the first: chain and key in PEM.
fn own_pair((chain, key): (&str, &str)) -> Result<(Vec<Certificate>, PrivateKey), Refusal> {
    let unread = |error: std::io::Error| Refusal::Own(error.to_string());
    let chain = rustls_pemfile::certs(&mut chain.as_bytes()).map_err(unread)?;
    let mut keys = rustls_pemfile::pkcs8_private_keys(&mut key.as_bytes()).map_err(unread)?;
    let key = keys.pop().ok_or_else(|| Refusal::Own("no private key in PKCS #8".to_string()))?;
    Ok((chain.into_iter().map(Certificate).collect(), PrivateKey(key)))
}

pub fn connection(
    anchors: &str,
    own: Option<(&str, &str)>,
    name: &str,
    clock: Arc<Clock>,
) -> Result<ClientConnection, Refusal> {
    let mut roots = RootCertStore::empty();
    let unread = |error: std::io::Error| Refusal::Anchor(error.to_string());
    let ders = rustls_pemfile::certs(&mut anchors.as_bytes()).map_err(unread)?;
    if ders.is_empty() && !anchors.is_empty() {
        return Err(unread(ErrorKind::InvalidData.into()));
    }
    for der in ders {
        roots.add(&Certificate(der)).map_err(|error| Refusal::Anchor(error.to_string()))?;
    }
    let name = ServerName::try_from(name).map_err(|_| Refusal::Name)?;
    // Without a policy on certificate transparency, as with_root_certificates() has it.
    let verifier = At { verifier: WebPkiVerifier::new(roots, None), clock };
    let config = ClientConfig::builder()
        .with_safe_defaults()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let config = match own {
        Some(own) => {
            let (chain, key) = own_pair(own)?;
            config.with_single_cert(chain, key).map_err(Refusal::Error)?
        }
        None => config.with_no_client_auth(),
    };
    ClientConnection::new(Arc::new(config), name).map_err(Refusal::Error)
}
