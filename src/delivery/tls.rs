//! TLS settings of a connection profile: rustls with aws-lc-rs, TLS 1.2 and later.

use std::{io, sync::Arc};

use hyper_rustls::ConfigBuilderExt;
use rustls::{CertificateError, ClientConfig, Error, RootCertStore, crypto::aws_lc_rs};
use rustls_pki_types::{CertificateDer, pem::PemObject};

use crate::registry::TlsRoots;

/// Most certificates that one bundle may hold.
const MAX_CERTIFICATES: usize = 512;

/// Why certificate authorities can't be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum RootsError {
    /// Nothing that is a certificate.
    #[error("no certificate authority in PEM form found")]
    Empty,
    /// One certificate is broken, and so the whole bundle is refused.
    #[error("a certificate can't be read")]
    Broken,
    /// More than [`MAX_CERTIFICATES`].
    #[error("more than 512 certificates")]
    TooMany,
    /// The platform has no certificate authorities, or lacks something else.
    #[error("TLS can't be set up with the system's certificate authorities")]
    System(#[source] Error),
}

/// Why a handshake failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TlsFault {
    /// The certificate is too old.
    Expired,
    /// The certificate's time has not come.
    NotYetValid,
    /// The certificate is for another name.
    Name,
    /// Nobody we trust has signed the certificate.
    Issuer,
    /// Something else is wrong with the certificate.
    Certificate,
    /// What came is not TLS.
    NotTls,
    /// No version or cipher in common.
    Version,
    /// The far end refused.
    Refused,
    /// The connection broke, or the far end broke the rules.
    Other,
}

/// Certificate authorities from PEM text.
pub(super) fn roots(pem: &str) -> Result<RootCertStore, RootsError> {
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let certificate = certificate.map_err(|_| RootsError::Broken)?;
        store.add(certificate).map_err(|_| RootsError::Broken)?;
        if store.len() > MAX_CERTIFICATES {
            return Err(RootsError::TooMany);
        }
    }
    if store.is_empty() { Err(RootsError::Empty) } else { Ok(store) }
}

/// The client's side of TLS: `custom` replaces the system's authorities.
pub(super) fn config(custom: Option<&TlsRoots>) -> Result<Arc<ClientConfig>, RootsError> {
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(RootsError::System)?;
    let builder = match custom {
        Some(TlsRoots(pem)) => builder.with_root_certificates(roots(pem)?),
        None => builder.try_with_platform_verifier().map_err(RootsError::System)?,
    };
    let mut config = builder.with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

// === impl TlsFault ===

impl TlsFault {
    /// What a failed handshake tells.
    pub(super) fn of(error: &io::Error) -> Self {
        let Some(cause) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) else {
            return Self::Other;
        };
        match cause {
            Error::InvalidCertificate(wrong) => match wrong {
                CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                    Self::Expired
                }
                CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                    Self::NotYetValid
                }
                CertificateError::NotValidForName
                | CertificateError::NotValidForNameContext { .. } => Self::Name,
                // Another authority of the same name, too.
                CertificateError::UnknownIssuer | CertificateError::BadSignature => Self::Issuer,
                _ => Self::Certificate,
            },
            Error::InvalidMessage(_) => Self::NotTls,
            Error::PeerIncompatible(_) => Self::Version,
            Error::AlertReceived(_) => Self::Refused,
            _ => Self::Other,
        }
    }

    /// For people.
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::Expired => "TLS: the certificate has expired; renew it",
            Self::NotYetValid => "TLS: the certificate is not valid yet; check the clocks",
            Self::Name => "TLS: the certificate is for another host name; check the address",
            Self::Issuer => {
                "TLS: the certificate's issuer is not trusted; set spec.connection.tls.caSecretRef or \
                 caConfigMapRef"
            }
            Self::Certificate => "TLS: the certificate is not acceptable",
            Self::NotTls => {
                "TLS: the far end does not speak TLS on this port; check the scheme (http or https)"
            }
            Self::Version => "TLS: the far end offers no TLS 1.2 or 1.3 that we share",
            Self::Refused => "TLS: the far end refused the handshake",
            Self::Other => "TLS: the handshake failed",
        }
    }
}
