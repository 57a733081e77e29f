//! Certificates for tests, made anew each time.

use super::Place;
use openwfp_api::Principal;
use openwfp_rpc::tls::ClientRule;
use openwfp_rpc::tls::ClientTls;
use openwfp_rpc::tls::ServerTls;
use rcgen::BasicConstraints;
use rcgen::CertificateParams;
use rcgen::CertificateRevocationListParams;
use rcgen::DnType;
use rcgen::IsCa;
use rcgen::Issuer;
use rcgen::KeyIdMethod;
use rcgen::KeyPair;
use rcgen::KeyUsagePurpose;
use rcgen::RevokedCertParams;
use rcgen::SanType;
use rcgen::SerialNumber;
use rcgen::date_time_ymd;
use std::path::PathBuf;

/// An authority that issues certificates.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) file: PathBuf,
}

/// What a client's certificate is like.
pub(crate) struct Client<'a> {
    pub(crate) file: &'a str,
    pub(crate) uri: &'a str,
    pub(crate) serial: u64,
    pub(crate) expired: bool,
}

impl Authority {
    pub(crate) fn new(place: &Place, name: &str) -> Authority {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key).unwrap();
        let file = place.file(&format!("{name}.pem"));
        std::fs::write(&file, certificate.pem()).unwrap();
        Authority { issuer: Issuer::new(params, key), file }
    }

    fn issue(&self, place: &Place, file: &str, params: &CertificateParams) -> (PathBuf, PathBuf) {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let paths = (place.file(&format!("{file}.pem")), place.file(&format!("{file}.key")));
        std::fs::write(&paths.0, certificate.pem()).unwrap();
        std::fs::write(&paths.1, key.serialize_pem()).unwrap();
        paths
    }

    pub(crate) fn server_tls(&self, place: &Place, host: &str, clients: &[(&str, Principal)]) -> ServerTls {
        let params = CertificateParams::new(vec![host.to_owned()]).unwrap();
        let (cert, key) = self.issue(place, &format!("server-{host}"), &params);
        let rule = |(name, principal): &(&str, Principal)| ClientRule {
            name: (*name).into(),
            principal: principal.clone(),
        };
        ServerTls {
            cert,
            key,
            client_ca: self.file.clone(),
            client_crl: None,
            clients: clients.iter().map(rule).collect(),
        }
    }

    pub(crate) fn client_tls(&self, place: &Place, file: &str, uri: &str) -> ClientTls {
        self.client(place, &Client { file, uri, serial: 7, expired: false })
    }

    pub(crate) fn client(&self, place: &Place, client: &Client<'_>) -> ClientTls {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, client.file);
        params.subject_alt_names = vec![SanType::URI(client.uri.try_into().unwrap())];
        params.serial_number = Some(SerialNumber::from(client.serial));
        if client.expired {
            params.not_before = date_time_ymd(2020, 1, 1);
            params.not_after = date_time_ymd(2021, 1, 1);
        }
        let (cert, key) = self.issue(place, client.file, &params);
        ClientTls { ca: self.file.clone(), cert, key }
    }

    /// A list with one revoked certificate.
    pub(crate) fn revoke(&self, place: &Place, serial: u64) -> PathBuf {
        let revoked = RevokedCertParams {
            serial_number: SerialNumber::from(serial),
            revocation_time: date_time_ymd(2025, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2025, 1, 1),
            next_update: date_time_ymd(2125, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: vec![revoked],
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let path = place.file("revoked.pem");
        std::fs::write(&path, list.signed_by(&self.issuer).unwrap().pem().unwrap()).unwrap();
        path
    }
}
