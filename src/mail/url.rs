//! Where mails go, as one URL: `smtps://user:password@host:465`, `smtp://host:587`.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use percent_encoding::percent_decode_str;
use secrecy::SecretString;

/// How a connection is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tls {
    /// From the first byte.
    Implicit,
    /// The server is asked for it, and must agree before anything else is said.
    StartTls,
    /// Not at all: this machine only.
    None,
}

/// A mail server. Printing it shows neither user nor password.
#[derive(Clone)]
pub struct SmtpUrl {
    /// Its name; its certificate must be for it.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is protected.
    pub tls: Tls,
    /// User and password, where the server wants them.
    pub login: Option<(String, SecretString)>,
}

impl fmt::Display for SmtpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl fmt::Debug for SmtpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SmtpUrl({self}, {:?})", self.tls)
    }
}

/// Why a URL names no mail server. Quotes nothing of it: it may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SmtpUrlError {
    /// Another scheme.
    #[error("use smtps://USER:PASSWORD@HOST:465, or smtp://USER:PASSWORD@HOST:587 for STARTTLS")]
    Scheme,
    /// No host, or one that is none.
    #[error("it names no host")]
    Host,
    /// Not a port.
    #[error("its port is no number from 1 to 65535")]
    Port,
    /// A user without a password, or the other way round; or escapes that are no text.
    #[error("user and password are USER:PASSWORD, with %40 for @ and %3A for :")]
    Login,
    /// Something behind the host.
    #[error("behind the host there is nothing but ?tls=required or ?tls=none")]
    Rest,
    /// Another machine without TLS.
    #[error("?tls=none is for this machine only: a mail and its password go to others over TLS")]
    Unprotected,
    /// `smtps` is TLS from the first byte.
    #[error("smtps:// is TLS already; ?tls=none contradicts it")]
    Contradiction,
}

impl FromStr for SmtpUrl {
    type Err = SmtpUrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (scheme, rest) = text.trim().split_once("://").ok_or(SmtpUrlError::Scheme)?;
        let implicit = match scheme {
            "smtps" => true,
            "smtp" => false,
            _ => return Err(SmtpUrlError::Scheme),
        };
        let (login, rest) = match rest.rsplit_once('@') {
            Some((login, rest)) => (Some(read_login(login)?), rest),
            None => (None, rest),
        };
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let place = place.strip_suffix('/').unwrap_or(place);
        if place.contains(['/', '#']) {
            return Err(SmtpUrlError::Rest);
        }
        let (host, port) = read_place(place, if implicit { 465 } else { 587 })?;
        let tls = match (query, implicit) {
            ("" | "tls=required", true) => Tls::Implicit,
            ("tls=none", true) => return Err(SmtpUrlError::Contradiction),
            ("" | "tls=required", false) => Tls::StartTls,
            ("tls=none", false) if is_loopback(&host) => Tls::None,
            ("tls=none", false) => return Err(SmtpUrlError::Unprotected),
            _ => return Err(SmtpUrlError::Rest),
        };
        Ok(Self {
            host,
            port,
            tls,
            login,
        })
    }
}

fn read_login(text: &str) -> Result<(String, SecretString), SmtpUrlError> {
    let (user, password) = text.split_once(':').ok_or(SmtpUrlError::Login)?;
    let read = |text: &str| {
        let read = percent_decode_str(text)
            .decode_utf8()
            .map_err(|_| SmtpUrlError::Login)?;
        if read.is_empty() || read.chars().any(char::is_control) {
            return Err(SmtpUrlError::Login);
        }
        Ok(read.into_owned())
    };
    Ok((read(user)?, SecretString::from(read(password)?)))
}

/// Host and port; an IPv6 address stands between brackets.
fn read_place(place: &str, default: u16) -> Result<(String, u16), SmtpUrlError> {
    let (host, port) = match place
        .strip_prefix('[')
        .and_then(|rest| rest.split_once(']'))
    {
        Some((address, "")) => (address, None),
        Some((address, port)) => {
            let port = port.strip_prefix(':').ok_or(SmtpUrlError::Port)?;
            (address, Some(port))
        }
        None => match place.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (place, None),
        },
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || ".-:_".contains(c);
    if host.is_empty() || !host.chars().all(plain) {
        return Err(SmtpUrlError::Host);
    }
    let port = match port {
        None => default,
        Some(text) => text
            .parse()
            .ok()
            .filter(|port| *port > 0)
            .ok_or(SmtpUrlError::Port)?,
    };
    Ok((host.to_owned(), port))
}

fn is_loopback(host: &str) -> bool {
    host == "localhost"
        || host
            .parse()
            .is_ok_and(|address: IpAddr| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    fn read(text: &str) -> Result<SmtpUrl, SmtpUrlError> {
        text.parse()
    }

    #[test]
    fn a_url_names_host_port_protection_and_login() {
        for (text, host, port, tls) in [
            ("smtps://mail.example", "mail.example", 465, Tls::Implicit),
            (
                "smtps://mail.example:8465/",
                "mail.example",
                8465,
                Tls::Implicit,
            ),
            ("smtp://mail.example", "mail.example", 587, Tls::StartTls),
            (
                "smtp://mail.example:25?tls=required",
                "mail.example",
                25,
                Tls::StartTls,
            ),
            ("smtp://localhost:25?tls=none", "localhost", 25, Tls::None),
            ("smtp://[::1]:25?tls=none", "::1", 25, Tls::None),
            ("smtp://127.0.0.1", "127.0.0.1", 587, Tls::StartTls),
        ] {
            let url = read(text).unwrap();
            assert_eq!(
                (url.host.as_str(), url.port, url.tls),
                (host, port, tls),
                "{text}"
            );
            assert!(url.login.is_none());
        }
        let url = read("smtps://pay%40platform.example:p%3A%25s@mail.example").unwrap();
        let (user, password) = url.login.clone().unwrap();
        assert_eq!(
            (user.as_str(), password.expose_secret()),
            ("pay@platform.example", "p:%s")
        );
        let shown = format!("{url} {url:?}");
        assert!(
            !shown.contains("p:%s") && !shown.contains("pay@"),
            "{shown}"
        );
    }

    #[test]
    fn what_is_no_server_or_gives_the_password_away_is_refused() {
        use SmtpUrlError::{Contradiction, Host, Login, Port, Rest, Scheme, Unprotected};
        for (text, why) in [
            ("mail.example:25", Scheme),
            ("https://mail.example", Scheme),
            ("smtps://", Host),
            ("smtps://a b", Host),
            ("smtps://mail.example:0", Port),
            ("smtps://[::1]2525", Port),
            ("smtps://mail.example:70000", Port),
            ("smtps://user@mail.example", Login),
            ("smtps://user:@mail.example", Login),
            ("smtps://u:%0D%0A@mail.example", Login),
            ("smtps://mail.example/inbox", Rest),
            ("smtp://mail.example?tls=opportunistic", Rest),
            ("smtp://mail.example?tls=none", Unprotected),
            ("smtp://localhost.evil.example?tls=none", Unprotected),
            ("smtp://u:p@10.0.0.1?tls=none", Unprotected),
            ("smtps://localhost?tls=none", Contradiction),
        ] {
            assert_eq!(read(text).map(|url| url.to_string()), Err(why), "{text}");
        }
    }
}
