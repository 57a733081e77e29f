//! Checks the lengths of keys and integrity check values.

use super::Aead;
use super::AeadAlgorithm;
use super::Auth;
use super::AuthAlgorithm;
use super::Cipher;
use super::CipherAlgorithm;
use super::Transform;
use crate::Code;
use crate::Error;
use crate::Key;
use crate::Result;
use std::fmt::Display;

impl Transform {
    /// Checks that the lengths of keys and check values fit the algorithms.
    ///
    /// An algorithm that this version does not know accepts any length.
    ///
    /// # Errors
    /// `FWP_E_INVALID_AUTH_TRANSFORM` or `FWP_E_INVALID_CIPHER_TRANSFORM` if a length does not fit; the
    /// message lists the valid ones. `FWP_E_INVALID_CIPHER_TRANSFORM` also if a key's bytes are withheld.
    pub fn check(&self) -> Result {
        if self.keys().any(Key::is_withheld) {
            return Err(Error::new(
                Code::FWP_E_INVALID_CIPHER_TRANSFORM,
                "the SA contains a key without its bytes",
            )
            .with_remedy("It was read without the right READ_KEYS. Pass the key itself."));
        }
        match self {
            Transform::Ah(auth) | Transform::EspAuth(auth) => auth.check(),
            Transform::EspCipher(cipher) => cipher.check(),
            Transform::EspAuthAndCipher(both) => both.auth.check().and_then(|()| both.cipher.check()),
            Transform::EspAead(aead) => aead.check(),
            Transform::Ipcomp(_) => Ok(()),
        }
    }
}

impl Auth {
    fn check(&self) -> Result {
        use AuthAlgorithm as A;
        // Valid key lengths in bytes, and the maximum length of the check value in bits.
        let (lengths, longest): (&[usize], u16) = match self.algorithm {
            A::HmacSha1 | A::HmacRipemd160 => (&[20], 160),
            A::HmacSha256 | A::HmacSm3 => (&[32], 256),
            A::HmacSha384 => (&[48], 384),
            A::HmacSha512 => (&[64], 512),
            A::HmacMd5 | A::AesCmac | A::AesXcbc => (&[16], 128),
            A::AesGmac => (&[20, 28, 36], 128),
            A::Null => (&[0], 0),
            A::Other => return Ok(()),
        };
        let code = Code::FWP_E_INVALID_AUTH_TRANSFORM;
        check_key(code, &self.algorithm.name(), self.key.len(), lengths)?;
        let shortest = if longest == 0 { 0 } else { 32 };
        if !(shortest..=longest).contains(&self.icv_bits) || !self.icv_bits.is_multiple_of(8) {
            let what = format!(
                "{} needs a check value of {shortest} to {longest} bits in whole bytes, not {}",
                self.algorithm.name(),
                self.icv_bits
            );
            return Err(Error::new(code, what));
        }
        Ok(())
    }
}

impl Cipher {
    fn check(&self) -> Result {
        use CipherAlgorithm as C;
        let code = Code::FWP_E_INVALID_CIPHER_TRANSFORM;
        let lengths: &[usize] = match self.algorithm {
            C::DesCbc => &[8],
            C::TripleDesCbc => &[24],
            C::AesCbc | C::CamelliaCbc | C::SerpentCbc | C::TwofishCbc => &[16, 24, 32],
            C::AesCtr => &[20, 28, 36],
            C::Sm4Cbc => &[16],
            C::Null => &[0],
            C::BlowfishCbc | C::Cast128Cbc => {
                let longest = if self.algorithm == C::BlowfishCbc { 56 } else { 16 };
                if (5..=longest).contains(&self.key.len()) {
                    return Ok(());
                }
                let what = format!(
                    "{} needs a key of 5 to {longest} bytes, not {}",
                    self.algorithm.name(),
                    self.key.len()
                );
                return Err(Error::new(code, what));
            }
            C::Other => return Ok(()),
        };
        check_key(code, &self.algorithm.name(), self.key.len(), lengths)
    }
}

impl Aead {
    fn check(&self) -> Result {
        let (lengths, icvs): (&[usize], &[u16]) = match self.algorithm {
            AeadAlgorithm::AesGcm => (&[20, 28, 36], &[64, 96, 128]),
            AeadAlgorithm::AesCcm => (&[19, 27, 35], &[64, 96, 128]),
            AeadAlgorithm::ChaCha20Poly1305 => (&[36], &[128]),
            AeadAlgorithm::Other => return Ok(()),
        };
        let name = format!("{} with its salt", self.algorithm.name());
        check_key(Code::FWP_E_INVALID_CIPHER_TRANSFORM, &name, self.key.len(), lengths)?;
        if !icvs.contains(&self.icv_bits) {
            let what = format!(
                "{} needs a check value of {} bits, not {}",
                self.algorithm.name(),
                alternatives(icvs),
                self.icv_bits
            );
            return Err(Error::new(Code::FWP_E_INVALID_AUTH_TRANSFORM, what));
        }
        Ok(())
    }
}

fn check_key(code: Code, name: &dyn Display, found: usize, lengths: &[usize]) -> Result {
    if lengths.contains(&found) {
        return Ok(());
    }
    Err(Error::new(code, format!("{name} needs a key of {} bytes, not {found}", alternatives(lengths))))
}

/// Formats numbers as alternatives: `16, 24 or 32`.
fn alternatives(numbers: &[impl Display]) -> String {
    let mut text = String::new();
    for (place, number) in numbers.iter().enumerate() {
        let join = match place {
            0 => "",
            _ if place + 1 == numbers.len() => " or ",
            _ => ", ",
        };
        text.push_str(&format!("{join}{number}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Key;

    fn lengths_that_fit(transform: impl Fn(Key) -> Transform) -> Vec<usize> {
        (0..=70).filter(|len| transform(Key::new(&vec![1; *len])).check().is_ok()).collect()
    }

    #[test]
    fn of_every_length_exactly_the_algorithms_own_fit() {
        let aead =
            |algorithm| lengths_that_fit(|key| Transform::EspAead(Aead { algorithm, icv_bits: 128, key }));
        assert_eq!(aead(AeadAlgorithm::AesGcm), [20, 28, 36]);
        assert_eq!(aead(AeadAlgorithm::AesCcm), [19, 27, 35]);
        assert_eq!(aead(AeadAlgorithm::ChaCha20Poly1305), [36]);
        assert_eq!(aead(AeadAlgorithm::Other).len(), 71);
        let cipher = |algorithm| lengths_that_fit(|key| Transform::EspCipher(Cipher { algorithm, key }));
        assert_eq!(cipher(CipherAlgorithm::AesCbc), [16, 24, 32]);
        assert_eq!(cipher(CipherAlgorithm::TripleDesCbc), [24]);
        assert_eq!(cipher(CipherAlgorithm::Null), [0]);
        assert_eq!(cipher(CipherAlgorithm::Cast128Cbc), (5..=16).collect::<Vec<_>>());
        let auth =
            |algorithm, icv_bits| lengths_that_fit(|key| Transform::Ah(Auth { algorithm, icv_bits, key }));
        assert_eq!(auth(AuthAlgorithm::HmacSha256, 128), [32]);
        assert_eq!(auth(AuthAlgorithm::HmacSha512, 256), [64]);
        assert_eq!(auth(AuthAlgorithm::AesGmac, 128), [20, 28, 36]);
        assert_eq!(auth(AuthAlgorithm::HmacMd5, 136), [], "longer than its digest");
        assert_eq!(auth(AuthAlgorithm::HmacSha1, 97), [], "no whole bytes");
    }

    #[test]
    fn a_wrong_length_is_named_with_those_that_fit_and_without_the_key() {
        let aead = Aead { algorithm: AeadAlgorithm::AesGcm, icv_bits: 128, key: Key::new(&[0xAB; 16]) };
        let error = Transform::EspAead(aead).check().unwrap_err();
        assert_eq!(error.code(), Code::FWP_E_INVALID_CIPHER_TRANSFORM);
        assert_eq!(error.what(), "AES-GCM with its salt needs a key of 20, 28 or 36 bytes, not 16");
        let auth = Auth { algorithm: AuthAlgorithm::HmacSha1, icv_bits: 96, key: Key::new(&[0xAB; 16]) };
        let error = Transform::Ah(auth).check().unwrap_err();
        assert_eq!(error.code(), Code::FWP_E_INVALID_AUTH_TRANSFORM);
        assert_eq!(error.what(), "HMAC-SHA1 needs a key of 20 bytes, not 16");
    }
}
