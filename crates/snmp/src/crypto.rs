//! Keys of passwords (RFC 3414, appendix A.2), authentication (RFC 3414, section 6; RFC 7860) and privacy (RFC 3826).

use aes::cipher::{Array, BlockCipherEncrypt, BlockSizeUser};
use aes::{Aes128, Aes256};
use hmac::{EagerHash, Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};
use subtle::ConstantTimeEq;

use crate::access::{Authentication, Privacy};

/// The octets of a password that are hashed: it is repeated until there are as many.
const HASHED: usize = 1 << 20;
/// The octets of a block of AES.
const BLOCK: usize = 16;

impl Authentication {
    /// The octets of the code in a message.
    pub(crate) const fn code_length(self) -> usize {
        match self {
            Self::Sha1 => 12,
            Self::Sha224 => 16,
            Self::Sha256 => 24,
            Self::Sha384 => 32,
            Self::Sha512 => 48,
        }
    }

    fn hash<'a>(self, parts: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
        fn hash<'a, D: Digest>(parts: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
            let mut digest = D::new();
            parts.for_each(|part| digest.update(part));
            digest.finalize().to_vec()
        }
        match self {
            Self::Sha1 => hash::<Sha1>(parts),
            Self::Sha224 => hash::<Sha224>(parts),
            Self::Sha256 => hash::<Sha256>(parts),
            Self::Sha384 => hash::<Sha384>(parts),
            Self::Sha512 => hash::<Sha512>(parts),
        }
    }

    /// The code that authenticates a message.
    pub(crate) fn code(self, key: &[u8], message: &[u8]) -> Vec<u8> {
        fn code<D: EagerHash>(key: &[u8], message: &[u8]) -> Vec<u8>
        where
            Hmac<D>: Mac + KeyInit,
        {
            // Keys of any length are valid.
            let Ok(mut mac) = <Hmac<D> as KeyInit>::new_from_slice(key) else { return Vec::new() };
            mac.update(message);
            mac.finalize().into_bytes().to_vec()
        }
        let mut code = match self {
            Self::Sha1 => code::<Sha1>(key, message),
            Self::Sha224 => code::<Sha224>(key, message),
            Self::Sha256 => code::<Sha256>(key, message),
            Self::Sha384 => code::<Sha384>(key, message),
            Self::Sha512 => code::<Sha512>(key, message),
        };
        code.truncate(self.code_length());
        code
    }

    /// Whether this is the code of the message, in a time that does not depend on it.
    pub(crate) fn is_code(self, key: &[u8], message: &[u8], code: &[u8]) -> bool {
        code.len() == self.code_length() && bool::from(self.code(key, message).ct_eq(code))
    }
}

/// The key of a password, for any agent.
pub(crate) fn key_of_password(authentication: Authentication, password: &[u8]) -> Vec<u8> {
    let mut repeated: Vec<u8> = password.iter().copied().cycle().take(HASHED).collect();
    repeated.truncate(HASHED);
    authentication.hash([repeated.as_slice()].into_iter())
}

/// The key for one agent.
pub(crate) fn localized(authentication: Authentication, key: &[u8], engine: &[u8]) -> Vec<u8> {
    authentication.hash([key, engine, key].into_iter())
}

/// Encrypts in place.
pub(crate) fn encrypt(privacy: Privacy, key: &[u8], start: [u8; BLOCK], text: &mut [u8]) -> Option<()> {
    feed_back(privacy, key, start, text, |_, encrypted| encrypted)
}

/// Decrypts in place.
pub(crate) fn decrypt(privacy: Privacy, key: &[u8], start: [u8; BLOCK], text: &mut [u8]) -> Option<()> {
    feed_back(privacy, key, start, text, |encrypted, _| encrypted)
}

/// AES in the mode CFB with blocks of 128 bits: each block is combined with the encrypted form of the ciphertext before it.
/// `ciphertext` chooses it from what a place had before and has after. `None` if the key is too short.
fn feed_back(
    privacy: Privacy,
    key: &[u8],
    start: [u8; BLOCK],
    text: &mut [u8],
    ciphertext: impl Fn(u8, u8) -> u8,
) -> Option<()> {
    fn blocks<C: BlockCipherEncrypt + BlockSizeUser>(
        cipher: &C,
        start: [u8; BLOCK],
        text: &mut [u8],
        ciphertext: impl Fn(u8, u8) -> u8,
    ) {
        let mut feedback = start;
        for block in text.chunks_mut(BLOCK) {
            let mut stream =
                Array::<u8, C::BlockSize>::from_fn(|index| feedback.get(index).copied().unwrap_or_default());
            cipher.encrypt_block(&mut stream);
            for ((octet, key), feedback) in block.iter_mut().zip(&stream).zip(&mut feedback) {
                let before = *octet;
                *octet ^= key;
                *feedback = ciphertext(before, *octet);
            }
        }
    }
    match privacy {
        Privacy::Aes128 => blocks(&Aes128::new_from_slice(key.get(..16)?).ok()?, start, text, ciphertext),
        Privacy::Aes256 => blocks(&Aes256::new_from_slice(key.get(..32)?).ok()?, start, text, ciphertext),
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        let digits = text.as_bytes().chunks(2);
        digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
    }

    /// RFC 3414, appendix A.3.2.
    #[test]
    fn keys_are_those_of_the_standard() {
        let key = key_of_password(Authentication::Sha1, b"maplesyrup");
        assert_eq!(key, hex("9fb5cc0381497b3793528939ff788d5d79145211"));
        let engine = hex("000000000000000000000002");
        assert_eq!(localized(Authentication::Sha1, &key, &engine), hex("6695febc9288e36282235fc7151f128497b38f3f"));
    }

    /// RFC 4231, test case 2, cut as RFC 7860 does.
    #[test]
    fn codes_are_those_of_the_standard() {
        let code = Authentication::Sha256.code(b"Jefe", b"what do ya want for nothing?");
        assert_eq!(code, hex("5bdcc146bf60754e6a042426089575c75a003f089d273983"));
        assert!(Authentication::Sha256.is_code(b"Jefe", b"what do ya want for nothing?", &code));
        assert!(!Authentication::Sha256.is_code(b"Jefe", b"what do ya want for something?", &code));
        assert!(!Authentication::Sha256.is_code(b"Jefe", b"what do ya want for nothing?", &[]));
    }

    /// NIST SP 800-38A, F.3.13 and F.3.17, with a last block that is not full.
    #[test]
    fn ciphertexts_are_those_of_the_standard() {
        let start: [u8; BLOCK] = std::array::from_fn(|index| u8::try_from(index).unwrap());
        let plain = hex("6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c8");
        for (privacy, key, encrypted) in [
            (
                Privacy::Aes128,
                "2b7e151628aed2a6abf7158809cf4f3c",
                "3b3fd92eb72dad20333449f8e83cfb4ac8a64537a0b3a93fcde3cdad9f1ce58b2675",
            ),
            (
                Privacy::Aes256,
                "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4",
                "dc7e84bfda79164b7ecd8486985d386039ffed143b28b1c832113c6331e5407bdf10",
            ),
        ] {
            let mut text = plain.clone();
            encrypt(privacy, &hex(key), start, &mut text).unwrap();
            assert_eq!(text, hex(encrypted));
            decrypt(privacy, &hex(key), start, &mut text).unwrap();
            assert_eq!(text, plain);
            assert_eq!(encrypt(privacy, &[0; 15], start, &mut text), None);
        }
    }
}
