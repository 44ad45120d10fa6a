//! How requests are signed: version 1, the original's, and version 2.
//!
//! Version 1 signs the authKey or the body; version 2 signs the whole request. The header `X-Io-Sign` then reads
//! `v2;<time>;<nonce>;<signature>`, and the signed text is six lines without a trailing line feed:
//! ```text
//! v2
//! <method>
//! <path with its query, as it is sent>
//! <time: seconds since 1970>
//! <nonce: 16 to 64 letters, digits, - and _>
//! <SHA-256 of the body, hexadecimal>
//! ```

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// An HMAC-SHA256.
pub(super) type Signature = [u8; 32];

/// What a request carries as its signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signed<'a> {
    /// Of the authKey or the body.
    V1(Signature),
    /// Of the whole request.
    V2(Stamp<'a>),
}

/// The content of a version 2 signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp<'a> {
    /// As it was written, because it is signed as it was written.
    time: &'a str,
    pub(super) seconds: u64,
    pub(super) nonce: &'a str,
    pub(super) signature: Signature,
}

const NONCE_LENGTHS: std::ops::RangeInclusive<usize> = 16..=64;

impl<'a> Signed<'a> {
    /// Reads either version.
    pub(super) fn parse(text: &'a [u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?.trim();
        match text.strip_prefix("v2;") {
            Some(stamp) => Stamp::parse(stamp).map(Self::V2),
            None => parse_v1(text).map(Self::V1),
        }
    }
}

impl<'a> Stamp<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.split(';');
        let (time, nonce, signature) = (parts.next()?, parts.next()?, parts.next()?);
        let of_nonce = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        let well_formed = parts.next().is_none()
            && !time.is_empty()
            && time.bytes().all(|byte| byte.is_ascii_digit())
            && NONCE_LENGTHS.contains(&nonce.len())
            && nonce.bytes().all(of_nonce);
        if !well_formed {
            return None;
        }
        Some(Self { time, seconds: time.parse().ok()?, nonce, signature: parse_hex(signature)? })
    }

    /// The signature that the request should have.
    pub(super) fn expected(&self, sign: Hmac<Sha256>, method: &str, target: &str, body_digest: &[u8]) -> Signature {
        signature(sign, [method, target, self.time, self.nonce], body_digest)
    }
}

/// The HMAC of the six lines.
fn signature(sign: Hmac<Sha256>, [method, target, time, nonce]: [&str; 4], body_digest: &[u8]) -> Signature {
    let lines = ["v2", method, target, time, nonce, &hex(body_digest)].join("\n");
    sign.chain_update(lines).finalize().into_bytes().into()
}

/// The content of the header.
pub(super) fn header(
    sign_key: &str,
    method: &str,
    target: &str,
    seconds: u64,
    nonce: &str,
    body_digest: &[u8],
) -> String {
    let time = seconds.to_string();
    // HMAC takes keys of any length; the error type is for other MACs.
    let Ok(sign) = Hmac::<Sha256>::new_from_slice(sign_key.as_bytes()) else { return String::new() };
    let signature = signature(sign, [method, target, &time, nonce], body_digest);
    format!("v2;{time};{nonce};{}", hex(&signature))
}

/// Hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A signature as openssl prints it: hexadecimal, bare or after `SHA2-256(stdin)= ` or `(stdin)= `.
fn parse_v1(text: &str) -> Option<Signature> {
    match text.split_once("(stdin)=") {
        None => parse_hex(text),
        // The name of the digest differs between the versions of openssl.
        Some((digest, digits)) if digest.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') => {
            parse_hex(digits.trim())
        }
        Some(_) => None,
    }
}

/// The octets of 64 hexadecimal digits.
pub(super) fn parse_hex(digits: &str) -> Option<Signature> {
    let mut signature = Signature::default();
    let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
    if pairs.len() != signature.len() || !rest.is_empty() {
        return None;
    }
    for (byte, [high, low]) in signature.iter_mut().zip(pairs) {
        let digit = |character: u8| char::from(character).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(signature)
}

#[cfg(test)]
mod tests {
    use sha2::Digest;

    use super::*;

    #[test]
    fn reads_signatures_as_every_openssl_prints_them() {
        let hex = "00ff".repeat(16);
        let expected = parse_v1(&hex);
        assert_eq!(expected.unwrap()[..2], [0, 255]);
        for text in [
            hex.to_uppercase(),
            format!("(stdin)= {hex}"),
            format!("SHA2-256(stdin)= {hex}"),
            format!("HMAC-SHA256(stdin)= {hex}"),
            format!(" SHA2-256(stdin)= {hex}\n"),
        ] {
            assert_eq!(Signed::parse(text.as_bytes()), expected.map(Signed::V1), "{text}");
        }
        for text in ["", "00", &hex[1..], &format!("{hex}00"), &format!("+{}", &hex[1..]), &format!("0x{}", &hex[2..])]
        {
            assert_eq!(Signed::parse(text.as_bytes()), None, "{text}");
        }
        assert_eq!(Signed::parse(format!("a b(stdin)= {hex}").as_bytes()), None);
        assert_eq!(Signed::parse(&[0xff; 64]), None);
    }

    #[test]
    fn reads_version_2_and_nothing_like_it() {
        let hex = "00ff".repeat(16);
        let text = format!("v2;1764086400;0123456789abcDEF-_;{hex}");
        let Some(Signed::V2(stamp)) = Signed::parse(text.as_bytes()) else { panic!("{text}") };
        assert_eq!((stamp.seconds, stamp.nonce), (1_764_086_400, "0123456789abcDEF-_"));
        let long = "n".repeat(65);
        for text in [
            format!("v2;1764086400;0123456789abcde;{hex}"),
            format!("v2;1764086400;{long};{hex}"),
            format!("v2;1764086400;0123456789abcde\n;{hex}"),
            format!("v2;-1;0123456789abcdef;{hex}"),
            format!("v2;;0123456789abcdef;{hex}"),
            format!("v2;99999999999999999999;0123456789abcdef;{hex}"),
            format!("v2;1764086400;0123456789abcdef;{hex};"),
            format!("v2;1764086400;0123456789abcdef;{}", &hex[1..]),
            format!("v2;1764086400;0123456789abcdef;(stdin)= {hex}"),
            format!("v3;1764086400;0123456789abcdef;{hex}"),
        ] {
            assert_eq!(Signed::parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn the_document_shows_what_is_signed_to_the_byte() {
        let document = include_str!("../../../../docs/rest.md");
        let (_, rest) = document.split_once("```text\nv2\n").unwrap();
        let (lines, _) = rest.split_once("\n```").unwrap();
        let lines: Vec<&str> = lines.split('\n').collect();
        let [method, target, time, nonce, digest] = lines[..] else { panic!("{lines:?}") };
        assert_eq!(digest, hex(&Sha256::digest(br#"{"prefixes":[]}"#)));
        let shown =
            header("signKey", method, target, time.parse().unwrap(), nonce, &Sha256::digest(br#"{"prefixes":[]}"#));
        assert!(document.contains(&format!("X-Io-Sign: {shown}\n")), "{shown}");
    }
}
