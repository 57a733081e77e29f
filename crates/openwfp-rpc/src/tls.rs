//! Mutual TLS 1.3: loads certificates from PEM files and maps client certificates to principals.

use openwfp_api::Code;
use openwfp_api::Error;
use openwfp_api::Principal;
use openwfp_api::Result;
use openwfp_api::Sid;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::CertificateRevocationListDer;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem;
use rustls::pki_types::pem::PemObject;
use rustls::server::WebPkiClientVerifier;
use std::net::IpAddr;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use x509_cert::der::Decode;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

/// The ALPN protocol id of HTTP/2 (RFC 9113 §3.2).
const ALPN: &[u8] = b"h2";

/// TLS settings of a server: its certificate, the authorities of its clients, and the clients'
/// principals.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerTls {
    /// File with the server's certificate followed by its intermediate certificates, PEM.
    pub cert: PathBuf,
    /// File with the private key, PEM.
    pub key: PathBuf,
    /// File with the authorities that issue the clients' certificates, PEM.
    pub client_ca: PathBuf,
    /// File with revocation lists of these authorities, PEM. Only the clients' own certificates are
    /// checked, not intermediate ones.
    pub client_crl: Option<PathBuf>,
    /// Rules that map clients to principals. The first match counts, and those further ones whose principal is the certificate's own
    /// SID; a client without a match cannot open sessions.
    pub clients: Vec<ClientRule>,
}

/// Maps clients whose certificate has a given name to a principal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientRule {
    /// Name to match exactly: `dns:NAME`, `email:ADDRESS`, `uri:URI` or `ip:ADDRESS` for a subject
    /// alternative name, or `subject:NAME` for the subject in the form of RFC 4514, such as
    /// `subject:CN=ops,O=Example`.
    pub name: String,
    /// The principal that the client acts as.
    pub principal: Principal,
}

/// TLS settings of a client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientTls {
    /// File with the authorities that may issue the server's certificate, PEM.
    pub ca: PathBuf,
    /// File with the client's certificate followed by its intermediate certificates, PEM.
    pub cert: PathBuf,
    /// File with the private key, PEM.
    pub key: PathBuf,
}

fn unreadable(path: &Path, what: &dyn std::fmt::Display) -> Error {
    Error::new(Code::FWP_E_INVALID_PARAMETER, format!("cannot use {}: {what}", path.display()))
}

/// Returns the error for a file that is not valid PEM. It describes the fault in words of its own, because the text of
/// `pem::Error` contains bytes of the file, which may be those of a private key.
fn not_pem(path: &Path, error: &pem::Error) -> Error {
    match error {
        pem::Error::Io(error) => unreadable(path, error),
        pem::Error::MissingSectionEnd { .. } => unreadable(path, &"a PEM section has no END line"),
        pem::Error::IllegalSectionStart { .. } => {
            unreadable(path, &"a PEM section has an invalid BEGIN line")
        }
        pem::Error::Base64Decode(_) => unreadable(path, &"a PEM section is not valid Base64"),
        pem::Error::NoItemsFound => unreadable(path, &"it has no PEM section of the expected kind"),
        pem::Error::SectionTooLarge => unreadable(path, &"a PEM section is too large"),
        _ => unreadable(path, &"it is not valid PEM"),
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let found: Vec<_> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|error| not_pem(path, &error))?;
    if found.is_empty() { Err(unreadable(path, &"it contains no PEM certificate")) } else { Ok(found) }
}

fn authorities(path: &Path) -> Result<Arc<RootCertStore>> {
    let mut store = RootCertStore::empty();
    for certificate in certificates(path)? {
        store.add(certificate).map_err(|error| unreadable(path, &error))?;
    }
    Ok(Arc::new(store))
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>> {
    PrivateKeyDer::from_pem_file(path).map_err(|error| not_pem(path, &error))
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

impl ServerTls {
    /// Reads the files and builds the TLS configuration.
    ///
    /// # Errors
    /// `FWP_E_INVALID_PARAMETER` with the file that cannot be read or used, and why.
    pub(crate) fn config(&self) -> Result<rustls::ServerConfig> {
        let mut verifier =
            WebPkiClientVerifier::builder_with_provider(authorities(&self.client_ca)?, provider());
        if let Some(path) = &self.client_crl {
            let lists: Vec<_> = CertificateRevocationListDer::pem_file_iter(path)
                .and_then(Iterator::collect)
                .map_err(|error| not_pem(path, &error))?;
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

    /// Reads the files and checks the rules, as [`Server::set_tls`](crate::Server::set_tls) does.
    ///
    /// # Errors
    /// `FWP_E_INVALID_PARAMETER` with the file or rule that cannot be used, and why.
    pub fn check(&self) -> Result {
        self.config().map(drop)?;
        self.clients.iter().try_for_each(|rule| check_name(&rule.name))
    }

    /// Returns the principal that a certificate is mapped to, and the name that matched. It has the rights of all rules that match:
    /// those of the first as its user, those of the others as its groups.
    pub(crate) fn identify(&self, certificate: &CertificateDer<'_>) -> Option<(Principal, String)> {
        let names = names(certificate);
        let mut rules = self.clients.iter().filter(|rule| names.contains(&rule.name));
        let first = rules.next()?;
        let mut principal = first.principal.clone();
        for certificate in rules.filter(|rule| rule.principal == Principal::user(certificate_sid(&rule.name)))
        {
            principal.groups.push(certificate.principal.user);
        }
        Some((principal, first.name.clone()))
    }
}

/// Returns the SID that stands for the certificates with a name in the form of [`ClientRule::name`]: `S-1-22-3` and the SHA-256
/// hash of the name, as eight numbers in big-endian order.
pub fn certificate_sid(name: &str) -> Sid {
    let suite = rustls::crypto::ring::cipher_suite::TLS13_AES_128_GCM_SHA256;
    let Some(suite) = suite.tls13() else { return Sid::ANONYMOUS };
    let hash = suite.common.hash_provider.hash(name.as_bytes());
    let mut numbers = vec![3];
    numbers.extend(hash.as_ref().as_chunks::<4>().0.iter().map(|chunk| u32::from_be_bytes(*chunk)));
    // Nine of at most fifteen numbers.
    Sid::new(22, &numbers).unwrap_or(Sid::ANONYMOUS)
}

/// Checks the form of a rule's name.
///
/// # Errors
/// `FWP_E_INVALID_PARAMETER` if the name has no known prefix or nothing after it.
pub fn check_name(name: &str) -> Result {
    let known = ["dns:", "email:", "uri:", "ip:", "subject:"];
    if known.iter().any(|kind| name.len() > kind.len() && name.starts_with(kind)) {
        return Ok(());
    }
    Err(Error::new(Code::FWP_E_INVALID_PARAMETER, format!("\"{name}\" is not a certificate name"))
        .with_remedy("Use dns:NAME, email:ADDRESS, uri:URI, ip:ADDRESS or subject:CN=NAME."))
}

/// Returns all names of a certificate, in the form of [`ClientRule::name`].
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
    /// Reads the files and builds the TLS configuration.
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

/// Returns the error that a client reports for a failed TLS handshake.
pub(crate) fn refusal(error: &rustls::Error) -> Error {
    match error {
        rustls::Error::AlertReceived(rustls::AlertDescription::ProtocolVersion)
        | rustls::Error::PeerIncompatible(_) => {
            Error::new(Code::RPC_E_VERSION_MISMATCH, format!("TLS with the engine failed: {error}"))
                .with_remedy("Both ends must support TLS 1.3.")
        }
        rustls::Error::InvalidMessage(_) => {
            Error::new(Code::RPC_E_INVALID_DATAPACKET, format!("TLS with the engine failed: {error}"))
                .with_remedy("The server does not speak TLS. Check the port.")
        }
        rustls::Error::AlertReceived(alert) if is_about_certificates(*alert) => {
            Error::new(Code::RPC_E_ACCESS_DENIED, format!("the engine refused this client: {error}"))
                .with_remedy("Check that the certificate (--cert) is valid, not revoked, and issued by an authority that the engine trusts.")
        }
        rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented => {
            Error::new(Code::RPC_E_ACCESS_DENIED, format!("the engine's certificate is not trusted: {error}"))
                .with_remedy("Check --ca, and the host name in the URL.")
        }
        _ => Error::new(Code::RPC_E_ACCESS_DENIED, format!("TLS with the engine failed: {error}")),
    }
}

fn is_about_certificates(alert: rustls::AlertDescription) -> bool {
    use rustls::AlertDescription as Alert;
    matches!(
        alert,
        Alert::NoCertificate
            | Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::UnknownCA
            | Alert::AccessDenied
            | Alert::DecryptError
            | Alert::CertificateRequired
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_certificate_name_has_a_sid_of_its_own() {
        // printf dns:ops.example.org | sha256sum
        let sid = certificate_sid("dns:ops.example.org").to_string();
        assert!(sid.starts_with("S-1-22-3-") && sid.split('-').count() == 12, "{sid}");
        assert_ne!(certificate_sid("dns:ops.example.org"), certificate_sid("dns:ops.example.com"));
    }

    /// A key file that is damaged, as by a lost line break, is described without a byte of it, as text or as numbers.
    #[test]
    fn a_damaged_key_file_is_described_without_its_content() {
        let path = std::env::temp_dir().join(format!("openwfp-key-{}.pem", std::process::id()));
        let secret = "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg";
        let numbers: Vec<String> = secret.bytes().map(|byte| byte.to_string()).collect();
        let numbers = numbers.join(", ");
        let broken = [
            format!("-----BEGIN PRIVATE KEY-----{secret}-----END PRIVATE KEY-----\n"),
            format!("-----BEGIN PRIVATE KEY----- {secret}\n-----END PRIVATE KEY-----\n"),
            format!("-----BEGIN PRIVATE KEY-----\n{secret}\n"),
            format!("-----BEGIN PRIVATE KEY-----\n{secret}\n-----END {secret}\n"),
            format!("-----BEGIN PRIVATE KEY-----\n!{secret}\n-----END PRIVATE KEY-----\n"),
            format!("{secret}\n"),
        ];
        for text in broken {
            std::fs::write(&path, &text).unwrap();
            for error in [private_key(&path).map(drop), certificates(&path).map(drop)] {
                let error = error.unwrap_err().to_string();
                assert!(error.starts_with(&format!("cannot use {}: ", path.display())), "{error}");
                assert!(!error.contains(&secret[..8]) && !error.contains(&numbers[..20]), "{error}");
            }
        }
        std::fs::remove_file(&path).unwrap();
    }
}
