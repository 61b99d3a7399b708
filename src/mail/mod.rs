//! How a mail leaves: one message to one person over SMTP, and what the server's answer
//! means. The only user of the mail crate.
//!
//! The password travels over TLS only, or to this machine. A server proves who it is by a
//! certificate that this system trusts; nothing turns that off.

mod url;

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use lettre::message::header::{ContentType, Header, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message, MultiPart, SinglePart};
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{SmtpConnection, TlsParameters};
use lettre::transport::smtp::commands::{Mail as MailFrom, Rset};
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::response::Severity;
use secrecy::{ExposeSecret, SecretString};

pub use url::{SmtpUrl, SmtpUrlError, Tls};

use crate::model::notification::ANSWER_PATIENCE;
use crate::model::time::Time;

/// Characters of a server's words that are kept.
const WORDS_MAX: usize = 300;

/// What an address looks like.
const AN_ADDRESS: &str = "write NAME <ADDRESS>, or the address alone";

/// Somebody's address, with the name that is shown beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address(Mailbox);

impl Address {
    /// Reads `ann@example.com` or `Ann Example <ann@example.com>`.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.chars().any(char::is_control) {
            return Err("it holds a control character".to_owned());
        }
        text.parse()
            .map(Self)
            .map_err(|_: lettre::address::AddressError| AN_ADDRESS.to_owned())
    }

    /// An address, and the name that is shown beside it, without its control characters.
    ///
    /// # Errors
    /// What is wrong with the address, in words.
    pub fn of(name: &str, address: &str) -> Result<Self, String> {
        let Self(mut mailbox) = Self::parse(address)?;
        let name: String = name.chars().filter(|c| !c.is_control()).collect();
        mailbox.name = Some(name.trim().to_owned()).filter(|name| !name.is_empty());
        Ok(Self(mailbox))
    }

    /// The name shown beside it.
    pub fn name(&self) -> Option<&str> {
        self.0.name.as_deref()
    }

    /// The address alone: `ann@example.com`.
    pub fn address(&self) -> &str {
        self.0.email.as_ref()
    }

    /// What stands behind the `@`.
    pub fn domain(&self) -> &str {
        self.0.email.domain()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A mail as it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// The part of its Message-ID before the `@`.
    pub message_id: String,
    /// From whom.
    pub from: Address,
    /// To whom.
    pub to: Address,
    /// When it is sent.
    pub at: Time,
    /// One line.
    pub subject: String,
    /// Plain text.
    pub text: String,
    /// The same as a page.
    pub html: String,
}

/// Why a mail was not sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MailError {
    /// The server cannot be used at all: nothing about this mail.
    #[error("the mail server {server} {why}")]
    Server {
        /// Its name and port.
        server: String,
        /// In words.
        why: String,
    },
    /// It may be taken later.
    #[error("{0}")]
    Later(String),
    /// It will never be taken.
    #[error("{0}")]
    Refused(String),
}

/// Written by a program, so that no holiday notice answers it. Source: RFC 3834, 5.
#[derive(Debug, Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

impl Mail {
    /// The message: headers, and text and page as two forms of the same.
    ///
    /// # Errors
    /// What of it cannot be written, in words.
    pub fn message(&self) -> Result<Vec<u8>, String> {
        let part = |kind: ContentType, body: &str| {
            SinglePart::builder().header(kind).body(body.to_owned())
        };
        let message = Message::builder()
            .from(self.from.0.clone())
            .to(self.to.0.clone())
            .date(self.at.into())
            .message_id(Some(format!(
                "<{}@{}>",
                self.message_id,
                self.from.domain()
            )))
            .subject(self.subject.clone())
            .header(AutoSubmitted)
            .multipart(
                MultiPart::alternative()
                    .singlepart(part(ContentType::TEXT_PLAIN, &self.text))
                    .singlepart(part(ContentType::TEXT_HTML, &self.html)),
            )
            .map_err(|error| error.to_string())?;
        Ok(message.formatted())
    }
}

/// A mail server, and the connection to it while it stands.
pub struct MailServer {
    url: SmtpUrl,
    from: Address,
    connection: Option<SmtpConnection>,
    /// Made once: it reads the system's root certificates.
    tls: Option<TlsParameters>,
}

impl fmt::Debug for MailServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MailServer")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        if let Some(mut connection) = self.connection.take() {
            let _ = connection.quit();
        }
    }
}

impl MailServer {
    /// Says where mails go, and from whom. Connects nowhere yet.
    pub fn new(url: SmtpUrl, from: Address) -> Self {
        Self {
            url,
            from,
            connection: None,
            tls: None,
        }
    }

    /// Sends one mail, and connects first where no connection stands.
    ///
    /// # Errors
    /// Says whether it is about the server or about this mail, and whether trying again may
    /// help. Of a connection that was lost in the middle nobody knows whether the server
    /// took the mail.
    pub fn send(&mut self, mail: &Mail) -> Result<(), MailError> {
        let message = mail.message().map_err(MailError::Refused)?;
        let envelope = lettre::address::Envelope::new(
            Some(mail.from.0.email.clone()),
            vec![mail.to.0.email.clone()],
        )
        .map_err(|error| MailError::Refused(error.to_string()))?;
        let mut connection = match self.connection.take() {
            Some(standing) => standing,
            None => self.connect()?,
        };
        match connection.send(&envelope, &message) {
            Ok(_) => {
                self.connection = Some(connection);
                Ok(())
            }
            // A connection that failed is done for; the next mail has a new one.
            Err(error) => {
                connection.abort();
                Err(match severity(&error) {
                    // A limit or a policy of the server says nothing of whom it is for.
                    Some(Severity::PermanentNegativeCompletion)
                        if is_about_the_server(&error.to_string()) =>
                    {
                        MailError::Later(words(&error, self.url.login.as_ref()))
                    }
                    Some(Severity::PermanentNegativeCompletion) => {
                        MailError::Refused(words(&error, self.url.login.as_ref()))
                    }
                    _ if error.is_client() => {
                        MailError::Refused(words(&error, self.url.login.as_ref()))
                    }
                    _ => MailError::Later(words(&error, self.url.login.as_ref())),
                })
            }
        }
    }

    /// Connects, proves who is who, and asks whether the sender may send at all, so that a
    /// refusal of that is not taken for one of each recipient.
    fn connect(&mut self) -> Result<SmtpConnection, MailError> {
        let server = self.url.to_string();
        let fails = |what: &str| {
            let (server, what, login) = (server.clone(), what.to_owned(), self.url.login.clone());
            move |error: lettre::transport::smtp::Error| MailError::Server {
                server,
                why: format!("{what}: {}", words(&error, login.as_ref())),
            }
        };
        let tls = match (&self.tls, self.url.tls) {
            (_, Tls::None) => None,
            (Some(made), _) => Some(made.clone()),
            (None, _) => {
                let made = TlsParameters::new(self.url.host.clone())
                    .map_err(fails("cannot be reached over TLS"))?;
                self.tls = Some(made.clone());
                Some(made)
            }
        };
        let name = ClientId::Domain(self.from.domain().to_owned());
        let mut connection = SmtpConnection::connect(
            (self.url.host.as_str(), self.url.port),
            Some(ANSWER_PATIENCE),
            &name,
            tls.as_ref().filter(|_| self.url.tls == Tls::Implicit),
            None,
        )
        .map_err(fails("cannot be reached"))?;
        if let (Some(tls), Tls::StartTls) = (&tls, self.url.tls) {
            connection
                .starttls(tls, &name)
                .map_err(fails("does not begin TLS"))?;
        }
        if let Some((user, password)) = &self.url.login {
            let login = Credentials::new(user.clone(), password.expose_secret().to_owned());
            connection
                .auth(&[Mechanism::Plain, Mechanism::Login], &login)
                .map_err(fails("does not let this program in"))?;
        }
        connection
            .command(MailFrom::new(Some(self.from.0.email.clone()), Vec::new()))
            .and_then(|_| connection.command(Rset))
            .map_err(fails("does not take mails from this sender"))?;
        Ok(connection)
    }
}

fn severity(error: &lettre::transport::smtp::Error) -> Option<Severity> {
    error.status().map(|code| code.severity)
}

/// Whether a refusal for good has an enhanced status code (RFC 3463) of the mail system, the
/// network or a policy: 5.3.x, 5.4.x, 5.7.x.
fn is_about_the_server(said: &str) -> bool {
    said.split_whitespace().any(|word| {
        let mut parts = word.split('.');
        let is = |part: Option<&str>, any: &[&str]| part.is_some_and(|part| any.contains(&part));
        is(parts.next(), &["5"])
            && is(parts.next(), &["3", "4", "7"])
            && parts.next().is_some_and(|part| part.parse::<u16>().is_ok())
            && parts.next().is_none()
    })
}

/// The shortest password that is looked for: anything shorter is a part of many words.
const PASSWORD_CHARS_MIN: usize = 4;

/// A text without the password, in every spelling in which a server is told it: one that does
/// not understand a line likes to repeat it.
fn without_password(text: String, login: Option<&(String, SecretString)>) -> String {
    let Some((user, password)) = login else {
        return text;
    };
    let password = password.expose_secret();
    if password.len() < PASSWORD_CHARS_MIN {
        return text;
    }
    let spellings = [
        BASE64.encode(format!("\0{user}\0{password}")),
        BASE64.encode(password),
        password.to_owned(),
    ];
    spellings
        .iter()
        .fold(text, |text, spelling| text.replace(spelling, "(password)"))
}

/// What happened, as the crate and the server say it, on one line.
fn words(error: &lettre::transport::smtp::Error, login: Option<&(String, SecretString)>) -> String {
    let mut said = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let cause_said = cause.to_string();
        if !said.contains(&cause_said) {
            said = format!("{said}: {cause_said}");
        }
        source = cause.source();
    }
    let line: String = without_password(said, login)
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(WORDS_MAX)
        .collect();
    line.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_of_the_server_is_not_about_whom_a_mail_is_for() {
        assert!(is_about_the_server(
            "permanent error (550): 5.4.5 Daily limit exceeded"
        ));
        assert!(is_about_the_server("permanent error (550): 5.7.1 not now"));
        for said in [
            "(550): 5.1.1 no such mailbox",
            "(554): 5.6.0 spam",
            "(550): 5.4 x",
            "5.4.5.1",
            "no 5.x.7",
            "",
        ] {
            assert!(!is_about_the_server(said), "{said}");
        }
    }

    fn mail(subject: &str, name: &str, text: &str) -> String {
        let mail = Mail {
            message_id: "0123".to_owned(),
            from: Address::parse("Payments <pay@platform.example>").unwrap(),
            to: Address::of(name, "ada@example.com").unwrap(),
            at: "2026-11-01T12:00:00Z".parse().unwrap(),
            subject: subject.to_owned(),
            text: text.to_owned(),
            html: "<p>x</p>".to_owned(),
        };
        String::from_utf8(mail.message().unwrap()).unwrap()
    }

    fn headers(message: &str) -> Vec<&str> {
        let head = message.split("\r\n\r\n").next().unwrap();
        let mut names: Vec<&str> = head
            .split("\r\n")
            .filter(|line| !line.starts_with([' ', '\t']))
            .map(|line| line.split(':').next().unwrap())
            .collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn a_message_is_plain_ascii_with_both_forms() {
        let message = mail("You were paid", "Ada", "Zürich\n");
        assert!(message.is_ascii());
        assert!(
            message.contains("Message-ID: <0123@platform.example>\r\n"),
            "{message}"
        );
        assert!(
            message.contains("Date: Sun, 01 Nov 2026 12:00:00 +0000\r\n"),
            "{message}"
        );
        assert!(message.contains("Auto-Submitted: auto-generated\r\n"));
        assert!(message.contains("multipart/alternative"));
    }

    #[test]
    fn no_name_and_no_subject_makes_a_header() {
        let usual = headers(&mail("You were paid", "Ada", "x")).join(" ");
        for hostile in [
            "x\r\nBcc: eve@evil.example",
            "x\nBcc: eve@evil.example",
            "x\r\n\r\nbody",
            "\"><eve@evil.example>, \"",
            "a,b;c <d@e>",
            "é\r\nBcc: é@e",
            "=?utf-8?Q?=0D=0ABcc:_eve@evil.example?=",
        ] {
            let message = mail(hostile, hostile, "x");
            assert_eq!(headers(&message).join(" "), usual, "{message}");
            let to: Vec<&str> = message
                .lines()
                .filter(|line| line.starts_with("To:"))
                .collect();
            assert_eq!(to.len(), 1);
            assert!(Address::parse(&format!("ada@example.com{hostile}")).is_err());
        }
    }

    #[test]
    fn addresses_are_read_with_and_without_a_name() {
        let read = Address::parse(" Ann, B <ann@example.com>").map(|a| a.address().to_owned());
        assert_eq!(Address::parse("ann@example.com").unwrap().name(), None);
        assert_eq!(
            Address::parse("Ann <ann@example.com>").unwrap().name(),
            Some("Ann")
        );
        assert!(read.is_err() || read == Ok("ann@example.com".to_owned()));
        for wrong in ["", "ann", "@example.com", "a@b\r\nc", "a b@c", "<>"] {
            assert!(Address::parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
