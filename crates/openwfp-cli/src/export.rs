//! `wfp sa export`: SAs with their keys in other programs' formats. Wireshark's is its table of ESP SAs (the file `esp_sa` in
//! a profile), with which it decrypts a capture.

use crate::args::ExportArgs;
use crate::failure::Failure;
use crate::failure::complain;
use crate::sa;
use openwfp::Engine;
use openwfp::SessionOptions;
use openwfp::api::AeadAlgorithm;
use openwfp::api::Auth;
use openwfp::api::AuthAlgorithm;
use openwfp::api::CipherAlgorithm;
use openwfp::api::Direction;
use openwfp::api::EnumOptions;
use openwfp::api::Key;
use openwfp::api::KeyAccess;
use openwfp::api::Sa;
use openwfp::api::SaContext;
use openwfp::api::SaContextId;
use openwfp::api::Transform;
use std::io::BufWriter;
use std::io::Write;

pub(crate) fn export(engine: &Engine, args: &ExportArgs) -> Result<(), Failure> {
    let session = engine.open_session(SessionOptions::new().name("wfp sa export"))?;
    let keys = session.key_access().map_err(|error| {
        error.within("cannot export the SAs' keys").with_remedy(
            "An export needs the right READ_KEYS (0x800) on the SA database. Run as root, or have the daemon's \
             administrator grant it (docs/daemon.md).",
        )
    })?;
    let mut wanted = Vec::new();
    for reference in &args.ids {
        wanted.push(sa::resolve(&*session, *reference)?);
    }
    let is_wanted = |id: SaContextId| wanted.is_empty() || wanted.contains(&id);
    let mut out = BufWriter::new(anstream::stdout().lock());
    writeln!(out, "# This table contains keys. Save it as the file esp_sa in Wireshark's profile.")?;
    let mut left_out = 0;
    for context in session.sa_contexts(&EnumOptions::default())? {
        let context = context?;
        if !is_wanted(context.id) {
            continue;
        }
        for (direction, details) in context.directions() {
            for sa in details.bundle.sas.iter() {
                match line(&context, direction, sa, &keys) {
                    Some(line) => writeln!(out, "{line}")?,
                    None => left_out += 1,
                }
            }
        }
    }
    out.flush()?;
    if left_out > 0 {
        let plural = if left_out == 1 { "" } else { "s" };
        complain(&format!(
            "warning: left out {left_out} SA{plural}. Wireshark decrypts only ESP, and only with some algorithms."
        ));
    }
    Ok(())
}

/// Returns an SA's line of Wireshark's table; none if Wireshark cannot decrypt it.
fn line(context: &SaContext, direction: Direction, sa: &Sa, keys: &KeyAccess) -> Option<String> {
    let endpoints = context.traffic.endpoints;
    let (source, destination) = match direction {
        Direction::Inbound => (endpoints.remote(), endpoints.local()),
        Direction::Outbound => (endpoints.local(), endpoints.remote()),
    };
    let version = if source.is_ipv4() { "IPv4" } else { "IPv6" };
    let none: (&str, String) = ("NULL", String::new());
    let (cipher, auth) = match &sa.transform {
        Transform::EspAead(aead) => {
            let name = match (aead.algorithm, aead.icv_bits) {
                (AeadAlgorithm::AesGcm, 64) => "AES-GCM with 8 octet ICV [RFC4106]",
                (AeadAlgorithm::AesGcm, 96) => "AES-GCM with 12 octet ICV [RFC4106]",
                (AeadAlgorithm::AesGcm, 128) => "AES-GCM with 16 octet ICV [RFC4106]",
                _ => return None,
            };
            ((name, hex(&aead.key, keys)?), none)
        }
        Transform::EspAuth(auth) => (none, integrity(auth, keys)?),
        Transform::EspCipher(cipher) => ((cipher_name(cipher.algorithm)?, hex(&cipher.key, keys)?), none),
        Transform::EspAuthAndCipher(both) => (
            (cipher_name(both.cipher.algorithm)?, hex(&both.cipher.key, keys)?),
            integrity(&both.auth, keys)?,
        ),
        _ => return None,
    };
    let esn = sa.linux.as_ref().is_some_and(|linux| linux.esn);
    // Wireshark 4.2 added these columns, and older versions ignore them. Without them, sequence numbers have 32 bits.
    let length = if esn { ",\"64-bit\",\"0\"" } else { "" };
    Some(format!(
        "\"{version}\",\"{source}\",\"{destination}\",\"{}\",\"{}\",\"{}\",\"{}\",\"{}\"{length}",
        sa.spi, cipher.0, cipher.1, auth.0, auth.1
    ))
}

fn hex(key: &Key, keys: &KeyAccess) -> Option<String> {
    if key.is_withheld() || key.is_zeroed() {
        return None;
    }
    let digits: String = key.bytes(keys).iter().map(|byte| format!("{byte:02x}")).collect();
    Some(format!("0x{digits}"))
}

fn cipher_name(algorithm: CipherAlgorithm) -> Option<&'static str> {
    Some(match algorithm {
        CipherAlgorithm::Null => "NULL",
        CipherAlgorithm::DesCbc => "DES-CBC [RFC2405]",
        CipherAlgorithm::TripleDesCbc => "TripleDES-CBC [RFC2451]",
        CipherAlgorithm::AesCbc => "AES-CBC [RFC3602]",
        CipherAlgorithm::AesCtr => "AES-CTR [RFC3686]",
        CipherAlgorithm::BlowfishCbc => "BLOWFISH-CBC [RFC2451]",
        CipherAlgorithm::Cast128Cbc => "CAST5-CBC [RFC2144]",
        CipherAlgorithm::TwofishCbc => "TWOFISH-CBC",
        _ => return None,
    })
}

/// Returns an integrity algorithm with its key, or without one if Wireshark knows only the length of the check value.
fn integrity(auth: &Auth, keys: &KeyAccess) -> Option<(&'static str, String)> {
    let known = match (auth.algorithm, auth.icv_bits) {
        (AuthAlgorithm::HmacMd5, 96) => "HMAC-MD5-96 [RFC2403]",
        (AuthAlgorithm::HmacSha1, 96) => "HMAC-SHA-1-96 [RFC2404]",
        (AuthAlgorithm::HmacSha256, 96) => "HMAC-SHA-256-96 [draft-ietf-ipsec-ciph-sha-256-00]",
        (AuthAlgorithm::HmacSha256, 128) => "HMAC-SHA-256-128 [RFC4868]",
        (AuthAlgorithm::HmacSha384, 192) => "HMAC-SHA-384-192 [RFC4868]",
        (AuthAlgorithm::HmacSha512, 256) => "HMAC-SHA-512-256 [RFC4868]",
        (AuthAlgorithm::HmacRipemd160, 96) => "MAC-RIPEMD-160-96 [RFC2857]",
        (AuthAlgorithm::Null, _) => return Some(("NULL", String::new())),
        (_, bits) => return Some((unchecked(bits)?, String::new())),
    };
    Some((known, hex(&auth.key, keys)?))
}

fn unchecked(icv_bits: u16) -> Option<&'static str> {
    Some(match icv_bits {
        64 => "ANY 64 bit authentication [no checking]",
        96 => "ANY 96 bit authentication [no checking]",
        128 => "ANY 128 bit authentication [no checking]",
        192 => "ANY 192 bit authentication [no checking]",
        256 => "ANY 256 bit authentication [no checking]",
        _ => return None,
    })
}
