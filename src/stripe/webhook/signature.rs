//! `Stripe-Signature`: who sent a body, and when.
//!
//! Source: Stripe, "Receive Stripe events in your webhook endpoint", "Verify
//! webhook signatures manually".

use std::fmt;
use std::time::Duration;

use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

use crate::model::time::{Time, millis_of};

/// How far the time of a signature may lie from now, unless somebody says otherwise.
pub const TOLERANCE: Duration = Duration::from_secs(300);

/// An account's endpoint and that of its connected accounts have a secret each, and
/// two while one is replaced.
const SECRETS_MAX: usize = 4;
/// What every secret begins with.
const SECRET_PREFIX: &str = "whsec_";
/// A header that is longer is not Stripe's: each signature takes 70 characters.
const HEADER_BYTES_MAX: usize = 2048;
/// Stripe signs with every secret that is valid, and in every scheme.
const ITEMS_MAX: usize = 16;
/// Digits of a moment in Unix seconds.
const TIME_DIGITS_MAX: usize = 12;
/// Bytes of HMAC-SHA256.
const CODE_BYTES: usize = 32;

/// The secrets that Stripe may have signed with. Printing them shows nothing.
#[derive(Clone)]
pub struct Secrets(Vec<SecretString>);

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secrets({})", self.0.len())
    }
}

impl Secrets {
    /// Reads one secret, or up to four with commas, blanks or line breaks between them.
    ///
    /// # Errors
    /// Why that cannot be; never with the text itself.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let secrets: Vec<&str> = text
            .split(|c: char| c == ',' || c.is_whitespace())
            .filter(|secret| !secret.is_empty())
            .collect();
        if secrets.is_empty() {
            return Err("there is no secret in it");
        }
        if secrets.len() > SECRETS_MAX {
            return Err("at most four secrets: of two endpoints, the old one and the new one");
        }
        if !secrets.iter().all(|secret| {
            secret
                .strip_prefix(SECRET_PREFIX)
                .is_some_and(|rest| !rest.is_empty())
        }) {
            return Err("a signing secret begins with whsec_");
        }
        Ok(Self(secrets.into_iter().map(SecretString::from).collect()))
    }
}

/// Why a body is not taken for Stripe's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotSigned {
    /// There is no header.
    #[error("there is no Stripe-Signature header")]
    Missing,
    /// The header is none that Stripe writes.
    #[error("the Stripe-Signature header cannot be read: {0}")]
    Unreadable(&'static str),
    /// Nothing of the one scheme that proves something.
    #[error("the Stripe-Signature header has no v1 signature")]
    NoScheme,
    /// None of the secrets made any of the signatures.
    #[error("no signature fits the body: another secret, or a changed body")]
    Mismatch,
    /// Signed at another time.
    #[error("it was signed {0} s ago, which is longer than is allowed")]
    TooOld(i64),
    /// Signed at a time that has not come.
    #[error("it was signed {0} s in the future: check this machine's clock")]
    TooNew(i64),
}

/// Checks a header against the bytes of a body as they came.
///
/// # Errors
/// Why it proves nothing. The signature is looked at before the time, so that
/// nobody without a secret learns what this machine's clock says.
pub fn verify(
    secrets: &Secrets,
    header: Option<&[u8]>,
    body: &[u8],
    now: Time,
    tolerance: Duration,
) -> Result<(), NotSigned> {
    let header = Header::read(header.ok_or(NotSigned::Missing)?)?;
    if header.codes.is_empty() {
        return Err(NotSigned::NoScheme);
    }
    let fits = |secret: &SecretString| {
        // A key of any length is good for HMAC.
        Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes()).is_ok_and(|mut mac| {
            mac.update(header.time_text.as_bytes());
            mac.update(b".");
            mac.update(body);
            header
                .codes
                .iter()
                // Compared in constant time.
                .any(|code| mac.clone().verify_slice(code).is_ok())
        })
    };
    if !secrets.0.iter().any(fits) {
        return Err(NotSigned::Mismatch);
    }
    let age = now.millis_since(Time::from_unix_seconds(header.time));
    let most = millis_of(tolerance);
    if age > most {
        return Err(NotSigned::TooOld(age / 1000));
    }
    if age < -most {
        return Err(NotSigned::TooNew(-age / 1000));
    }
    Ok(())
}

/// `t=1700000000,v1=4053ad…,v1=…,v0=…`.
struct Header<'a> {
    /// As it was written, since that was signed.
    time_text: &'a str,
    /// Unix seconds.
    time: i64,
    codes: Vec<[u8; CODE_BYTES]>,
}

impl<'a> Header<'a> {
    fn read(header: &'a [u8]) -> Result<Self, NotSigned> {
        let wrong = |why| Err(NotSigned::Unreadable(why));
        if header.len() > HEADER_BYTES_MAX {
            return wrong("it is too long");
        }
        let Ok(text) = std::str::from_utf8(header) else {
            return wrong("it is not text");
        };
        let mut time = None;
        let mut codes = Vec::new();
        for (at, item) in text.split(',').enumerate() {
            if at >= ITEMS_MAX {
                return wrong("it has too many parts");
            }
            let Some((scheme, value)) = item.trim_matches(' ').split_once('=') else {
                return wrong("a part of it is no pair");
            };
            match scheme {
                "t" if time.is_some() => return wrong("it has two times"),
                "t" => time = Some(value),
                "v1" => match code(value) {
                    Some(code) => codes.push(code),
                    None => return wrong("a v1 signature is not 64 hexadecimal digits"),
                },
                // Other schemes prove nothing.
                _ => {}
            }
        }
        let Some(time_text) = time else {
            return wrong("it has no time");
        };
        let digits = time_text.bytes().all(|byte| byte.is_ascii_digit());
        if !digits || time_text.is_empty() || time_text.len() > TIME_DIGITS_MAX {
            return wrong("its time is not in seconds");
        }
        let Ok(time) = time_text.parse() else {
            return wrong("its time is not in seconds");
        };
        Ok(Self {
            time_text,
            time,
            codes,
        })
    }
}

/// 64 lower-case hexadecimal digits, which is how Stripe writes them.
fn code(hex: &str) -> Option<[u8; CODE_BYTES]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let bytes = hex.as_bytes();
    if bytes.len() != CODE_BYTES * 2 {
        return None;
    }
    let mut code = [0; CODE_BYTES];
    for (byte, pair) in code.iter_mut().zip(bytes.chunks_exact(2)) {
        let [high, low] = pair else { return None };
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECRET: &str = "whsec_test_secret";
    const OLD: &str = "whsec_old_secret";
    const BODY: &[u8] = br#"{"id":"evt_1","object":"event","type":"transfer.created"}"#;
    const V1: &str = "4053ad125030bbff23bc1f438ef1315b8ad7868a29a76e7d4898bfbfca4a98ee";
    const V1_OLD: &str = "5f7db3c7058fbeb283124004c7eaccf436a713e2d957a9326f0c3e6c0a2da2aa";
    const T: i64 = 1_700_000_000;

    fn checked(
        secrets: &str,
        header: &str,
        body: &[u8],
        seconds_later: i64,
    ) -> Result<(), NotSigned> {
        let now = Time::from_unix_seconds(T + seconds_later);
        let secrets = Secrets::parse(secrets).unwrap();
        verify(&secrets, Some(header.as_bytes()), body, now, TOLERANCE)
    }

    fn sign(secret: &str, time: &str, body: &[u8]) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        mac.update(time.as_bytes());
        mac.update(b".");
        mac.update(body);
        crate::model::history::hex(&mac.finalize().into_bytes())
    }

    #[test]
    fn what_stripe_signs_is_accepted() {
        for (secret, t, body, v1) in [
            (SECRET, T, BODY, V1),
            (OLD, T, BODY, V1_OLD),
            (
                SECRET,
                T,
                r#"{"d":"café ☃"}"#.as_bytes(),
                "0d997d720a685a404af9f61fff4400ba54ede5978131b7ae4738d3eb3167d352",
            ),
            (
                SECRET,
                T,
                b"",
                "316b9ab98c15bfa039d243f3196acee619cf29749a91a634e6a8154e2f7b6727",
            ),
            (
                SECRET,
                1_492_774_577,
                b"{\n  \"id\": \"evt_test_webhook\",\n  \"object\": \"event\"\n}",
                "c2f890decbc5ede7c5060bb9a6d31e0626a4342bacb9aeae2adb1bcea72f9812",
            ),
        ] {
            let header = format!("t={t},v1={v1}");
            let now = Time::from_unix_seconds(t);
            let secrets = Secrets::parse(secret).unwrap();
            let verified = verify(&secrets, Some(header.as_bytes()), body, now, TOLERANCE);
            assert_eq!(verified, Ok(()), "{header}");
        }
    }

    #[test]
    fn while_a_secret_is_replaced_either_will_do() {
        for secrets in [
            "whsec_old_secret,whsec_test_secret",
            " whsec_other\twhsec_test_secret\n",
        ] {
            assert_eq!(
                checked(secrets, &format!("t={T},v1={V1}"), BODY, 0),
                Ok(()),
                "{secrets}"
            );
        }
        for header in [
            format!("t={T},v1={V1_OLD},v1={V1}"),
            format!("v1={V1},v1={V1_OLD},t={T}"),
            format!("t={T},v0={V1_OLD},v1={V1},v2=anything"),
            format!("t={T}, v1={V1}"),
        ] {
            assert_eq!(checked(SECRET, &header, BODY, 0), Ok(()), "{header}");
        }
    }

    #[test]
    fn its_time_may_lie_five_minutes_away() {
        let header = format!("t={T},v1={V1}");
        for (later, expected) in [
            (300, Ok(())),
            (-300, Ok(())),
            (301, Err(NotSigned::TooOld(301))),
            (-301, Err(NotSigned::TooNew(301))),
        ] {
            assert_eq!(checked(SECRET, &header, BODY, later), expected, "{later}");
        }
    }

    #[test]
    fn every_kind_of_tampering_is_refused() {
        use NotSigned::{Mismatch, NoScheme, Unreadable};
        let good = format!("t={T},v1={V1}");
        let upper = V1.to_uppercase();
        let many = format!("t={T}{}", ",v0=0".repeat(16));
        let huge = format!("{good},v0={}", "0".repeat(2048));
        for (header, expected) in [
            (format!("t={},v1={V1}", T + 1), Mismatch),
            (format!("t=0{T},v1={V1}"), Mismatch),
            (format!("t={T},v1={V1_OLD}"), Mismatch),
            (format!("t={T},v0={V1}"), NoScheme),
            (format!("t={T},V1={V1}"), NoScheme),
            (format!("t={T}"), NoScheme),
            (
                format!("t={T},v1={upper}"),
                Unreadable("a v1 signature is not 64 hexadecimal digits"),
            ),
            (
                format!("t={T},v1="),
                Unreadable("a v1 signature is not 64 hexadecimal digits"),
            ),
            (
                format!("t={T},v1={}", &V1[..62]),
                Unreadable("a v1 signature is not 64 hexadecimal digits"),
            ),
            (
                format!("t={T},v1={V1}00"),
                Unreadable("a v1 signature is not 64 hexadecimal digits"),
            ),
            (
                format!("t={T},t={T},v1={V1}"),
                Unreadable("it has two times"),
            ),
            (format!("v1={V1}"), Unreadable("it has no time")),
            (
                format!("t=,v1={V1}"),
                Unreadable("its time is not in seconds"),
            ),
            (
                format!("t=+{T},v1={V1}"),
                Unreadable("its time is not in seconds"),
            ),
            (
                format!("t=-{T},v1={V1}"),
                Unreadable("its time is not in seconds"),
            ),
            (
                format!("t={T}.0,v1={V1}"),
                Unreadable("its time is not in seconds"),
            ),
            (
                format!("t=9999999999999999999,v1={V1}"),
                Unreadable("its time is not in seconds"),
            ),
            (
                format!("t={T}v1={V1}"),
                Unreadable("its time is not in seconds"),
            ),
            (V1.to_owned(), Unreadable("a part of it is no pair")),
            (String::new(), Unreadable("a part of it is no pair")),
            (format!("{good},"), Unreadable("a part of it is no pair")),
            (many, Unreadable("it has too many parts")),
            (huge, Unreadable("it is too long")),
        ] {
            assert_eq!(checked(SECRET, &header, BODY, 0), Err(expected), "{header}");
        }
        assert_eq!(checked("whsec_other", &good, BODY, 0), Err(Mismatch));
        assert_eq!(checked(SECRET, &good, &BODY[1..], 0), Err(Mismatch));
        let spaced = br#"{"id": "evt_1","object":"event","type":"transfer.created"}"#;
        assert_eq!(checked(SECRET, &good, spaced, 0), Err(Mismatch));
        let secrets = Secrets::parse(SECRET).unwrap();
        let now = Time::from_unix_seconds(T);
        assert_eq!(
            verify(&secrets, None, BODY, now, TOLERANCE),
            Err(NotSigned::Missing)
        );
        let not_text = verify(&secrets, Some(b"t=\xff"), BODY, now, TOLERANCE);
        assert_eq!(not_text, Err(Unreadable("it is not text")));
    }

    #[test]
    fn who_has_no_secret_learns_nothing_of_the_clock() {
        assert_eq!(
            checked(SECRET, &format!("t=1,v1={V1}"), BODY, 0),
            Err(NotSigned::Mismatch)
        );
    }

    #[test]
    fn secrets_are_read_and_never_shown() {
        for wrong in [
            "",
            " , ",
            "sk_test_1",
            "whsec_",
            "whsec_a,b",
            "whsec_a,whsec_b,whsec_c,whsec_d,whsec_e",
        ] {
            assert!(Secrets::parse(wrong).is_err(), "{wrong:?}");
        }
        let secrets = Secrets::parse("whsec_a, whsec_b").unwrap();
        assert_eq!(format!("{secrets:?}"), "Secrets(2)");
    }

    proptest! {
        #[test]
        fn any_body_is_accepted_as_it_was_signed(body in prop::collection::vec(any::<u8>(), 0..512)) {
            let header = format!("t={T},v1={}", sign(SECRET, &T.to_string(), &body));
            prop_assert_eq!(checked(SECRET, &header, &body, 0), Ok(()));
        }

        #[test]
        fn a_changed_byte_is_refused(
            body in prop::collection::vec(any::<u8>(), 1..512), at in any::<prop::sample::Index>(), flip in 1_u8..,
        ) {
            let header = format!("t={T},v1={}", sign(SECRET, &T.to_string(), &body));
            let mut changed = body.clone();
            changed[at.index(body.len())] ^= flip;
            prop_assert_eq!(checked(SECRET, &header, &changed, 0), Err(NotSigned::Mismatch));
        }

        #[test]
        fn a_changed_header_is_refused(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let good = format!("t={T},v1={V1}").into_bytes();
            let mut changed = good.clone();
            changed[at.index(good.len())] = byte;
            prop_assume!(changed != good);
            let secrets = Secrets::parse(SECRET).unwrap();
            let now = Time::from_unix_seconds(T);
            prop_assert!(verify(&secrets, Some(&changed), BODY, now, TOLERANCE).is_err());
        }

        #[test]
        fn no_header_makes_it_panic(header in prop::collection::vec(any::<u8>(), 0..256)) {
            let secrets = Secrets::parse(SECRET).unwrap();
            let now = Time::from_unix_seconds(T);
            prop_assert!(verify(&secrets, Some(&header), BODY, now, TOLERANCE).is_err());
        }
    }
}
