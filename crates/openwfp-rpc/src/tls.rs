//! Mutual TLS 1.3: certificates from PEM files, and who a client's certificate stands for.

use openwfp_api::Code;
use openwfp_api::Error;
use openwfp_api::Principal;
use openwfp_api::Result;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::CertificateRevocationListDer;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::server::WebPkiClientVerifier;
use std::net::IpAddr;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use x509_cert::der::Decode;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

/// HTTP/2's name in TLS (RFC 9113 §3.2).
const ALPN: &[u8] = b"h2";

/// A server's side of mutual TLS: its certificate, whose clients it takes, and who they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerTls {
    /// The server's certificate with those that lead to its authority, PEM.
    pub cert: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
    /// The authorities that clients' certificates come from, PEM.
    pub client_ca: PathBuf,
    /// The authorities' lists of revoked certificates, PEM.
    pub client_crl: Option<PathBuf>,
    /// Who the clients are; the first rule that fits counts, and whom none fits is refused.
    pub clients: Vec<ClientRule>,
}

/// Who a client is whose certificate has this name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientRule {
    /// `dns:NAME`, `email:ADDRESS`, `uri:URI` or `ip:ADDRESS` for a subject alternative name, `subject:NAME` for the
    /// subject as RFC 4514 writes it, such as `subject:CN=ops,O=Example`.
    pub name: String,
    /// Who that is.
    pub principal: Principal,
}

/// A client's side of mutual TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientTls {
    /// The authorities that the server's certificate may come from, PEM.
    pub ca: PathBuf,
    /// The client's certificate with those that lead to its authority, PEM.
    pub cert: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
}

fn unreadable(path: &Path, what: &dyn std::fmt::Display) -> Error {
    Error::new(Code::FWP_E_INVALID_PARAMETER, format!("{}: {what}", path.display()))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let found: Vec<_> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|error| unreadable(path, &error))?;
    if found.is_empty() { Err(unreadable(path, &"no certificate in PEM form is in it")) } else { Ok(found) }
}

fn authorities(path: &Path) -> Result<Arc<RootCertStore>> {
    let mut store = RootCertStore::empty();
    for certificate in certificates(path)? {
        store.add(certificate).map_err(|error| unreadable(path, &error))?;
    }
    Ok(Arc::new(store))
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>> {
    PrivateKeyDer::from_pem_file(path).map_err(|error| unreadable(path, &error))
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

impl ServerTls {
    /// Reads the files.
    ///
    /// # Errors
    /// `FWP_E_INVALID_PARAMETER` with the file that cannot be read or used, and why.
    pub(crate) fn config(&self) -> Result<rustls::ServerConfig> {
        let mut verifier =
            WebPkiClientVerifier::builder_with_provider(authorities(&self.client_ca)?, provider());
        if let Some(path) = &self.client_crl {
            let lists: Vec<_> = CertificateRevocationListDer::pem_file_iter(path)
                .and_then(Iterator::collect)
                .map_err(|error| unreadable(path, &error))?;
            verifier = verifier.with_crls(lists).only_check_end_entity_revocation();
        }
        let verifier = verifier.build().map_err(|error| unreadable(&self.client_ca, &error))?;
        let mut config = rustls::ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|error| unreadable(&self.cert, &error))?
            .with_client_cert_verifier(verifier)
            .with_single_cert(certificates(&self.cert)?, private_key(&self.key)?)
            .map_err(|error| unreadable(&self.cert, &error))?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        Ok(config)
    }

    /// Reads the files and checks the rules, as a server would.
    ///
    /// # Errors
    /// `FWP_E_INVALID_PARAMETER` with what cannot be used, and why.
    pub fn check(&self) -> Result {
        self.config().map(drop)?;
        self.clients.iter().try_for_each(|rule| check_name(&rule.name))
    }

    /// Who a certificate stands for, with the name by which it was found.
    pub(crate) fn identify(&self, certificate: &CertificateDer<'_>) -> Option<(Principal, String)> {
        let names = names(certificate);
        let rule = self.clients.iter().find(|rule| names.contains(&rule.name))?;
        Some((rule.principal.clone(), rule.name.clone()))
    }
}

/// Checks the form of a rule's name.
///
/// # Errors
/// `FWP_E_INVALID_PARAMETER` for a name of no known kind.
pub fn check_name(name: &str) -> Result {
    let known = ["dns:", "email:", "uri:", "ip:", "subject:"];
    if known.iter().any(|kind| name.len() > kind.len() && name.starts_with(kind)) {
        return Ok(());
    }
    Err(Error::new(Code::FWP_E_INVALID_PARAMETER, format!("\"{name}\" names no certificate"))
        .with_remedy("names are dns:NAME, email:ADDRESS, uri:URI, ip:ADDRESS or subject:CN=NAME"))
}

/// All names of a certificate, in the form of rules.
pub(crate) fn names(certificate: &CertificateDer<'_>) -> Vec<String> {
    let Ok(certificate) = x509_cert::Certificate::from_der(certificate) else { return Vec::new() };
    let mut names = Vec::new();
    if let Ok(Some((_, SubjectAltName(alternatives)))) = certificate.tbs_certificate.get::<SubjectAltName>() {
        names.extend(alternatives.iter().filter_map(|name| match name {
            GeneralName::DnsName(name) => Some(format!("dns:{name}")),
            GeneralName::Rfc822Name(name) => Some(format!("email:{name}")),
            GeneralName::UniformResourceIdentifier(name) => Some(format!("uri:{name}")),
            GeneralName::IpAddress(address) => ip(address.as_bytes()).map(|address| format!("ip:{address}")),
            _ => None,
        }));
    }
    names.push(format!("subject:{}", certificate.tbs_certificate.subject));
    names
}

fn ip(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from),
        _ => <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from),
    }
}

impl ClientTls {
    /// Reads the files.
    ///
    /// # Errors
    /// `FWP_E_INVALID_PARAMETER` with the file that cannot be read or used, and why.
    pub(crate) fn config(&self) -> Result<rustls::ClientConfig> {
        let mut config = rustls::ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|error| unreadable(&self.cert, &error))?
            .with_root_certificates(authorities(&self.ca)?)
            .with_client_auth_cert(certificates(&self.cert)?, private_key(&self.key)?)
            .map_err(|error| unreadable(&self.cert, &error))?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        Ok(config)
    }
}

/// What a failed handshake means for a client.
pub(crate) fn refusal(error: &rustls::Error) -> Error {
    match error {
        rustls::Error::AlertReceived(rustls::AlertDescription::ProtocolVersion)
        | rustls::Error::PeerIncompatible(_) => {
            Error::new(Code::RPC_E_VERSION_MISMATCH, format!("TLS with the engine: {error}"))
                .with_remedy("both ends must speak TLS 1.3")
        }
        rustls::Error::InvalidMessage(_) => {
            Error::new(Code::RPC_E_INVALID_DATAPACKET, format!("TLS with the engine: {error}"))
                .with_remedy("what listens there does not speak TLS; is the port right?")
        }
        rustls::Error::AlertReceived(_) => {
            Error::new(Code::RPC_E_ACCESS_DENIED, format!("the engine refused this client: {error}"))
                .with_remedy("check --cert and --key: issued by the engine's authority, valid, not revoked?")
        }
        _ => Error::new(Code::RPC_E_ACCESS_DENIED, format!("the engine's certificate was refused: {error}"))
            .with_remedy("check --ca and the engine's name in the URL"),
    }
}
