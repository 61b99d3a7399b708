//! The key goes to a server that has proved to be Stripe's, and to nobody else.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use rcgen::{CertificateParams, Issuer, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, Stream};

use crate::common::db::TestDb;
use crate::common::shop::Shop;

/// What a server shows of itself.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Shows {
    /// A certificate for `localhost` that the root has signed.
    Itself,
    /// One that ended yesterday.
    Expired,
    /// One that begins tomorrow.
    NotYet,
    /// One for another host.
    OtherHost,
    /// One that only it has signed.
    SelfSigned,
    /// One that another root has signed.
    OtherRoot,
}

/// A root, and whatever servers show that was signed by it.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, name);
        let pem = params.self_signed(&key).unwrap().pem();
        Self {
            issuer: Issuer::new(params, key),
            pem,
        }
    }
}

/// A server that speaks TLS and answers every request alike. It keeps what it heard, and counts who
/// came.
struct Server {
    address: SocketAddr,
    heard: Arc<Mutex<String>>,
    came: Arc<AtomicUsize>,
}

impl Server {
    fn start(root: &Authority, shows: Shows, answer: String) -> Self {
        let config = Arc::new(certified(root, shows));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (heard, came) = (
            Arc::<Mutex<String>>::default(),
            Arc::<AtomicUsize>::default(),
        );
        let (told, counted) = (Arc::clone(&heard), Arc::clone(&came));
        // Ends with the tests: nobody calls it any more.
        std::thread::spawn(move || {
            for mut socket in listener.incoming().flatten() {
                counted.fetch_add(1, Ordering::SeqCst);
                let mut session = ServerConnection::new(Arc::clone(&config)).unwrap();
                let mut stream = Stream::new(&mut session, &mut socket);
                let mut bytes = [0; 4096];
                if let Ok(length) = stream.read(&mut bytes) {
                    told.lock()
                        .unwrap()
                        .push_str(&String::from_utf8_lossy(&bytes[..length]));
                    let _ = stream.write_all(answer.as_bytes());
                    stream.conn.send_close_notify();
                    let _ = stream.flush();
                }
            }
        });
        Self {
            address,
            heard,
            came,
        }
    }

    fn heard(&self) -> String {
        self.heard.lock().unwrap().clone()
    }
}

fn certified(root: &Authority, shows: Shows) -> ServerConfig {
    let key = KeyPair::generate().unwrap();
    let host = if shows == Shows::OtherHost {
        "stripe.example"
    } else {
        "localhost"
    };
    let mut params = CertificateParams::new(vec![host.to_owned()]).unwrap();
    match shows {
        Shows::Expired => params.not_after = rcgen::date_time_ymd(2020, 1, 1),
        Shows::NotYet => params.not_before = rcgen::date_time_ymd(2120, 1, 1),
        _ => {}
    }
    let certificate = match shows {
        Shows::SelfSigned => params.self_signed(&key).unwrap(),
        Shows::OtherRoot => params
            .signed_by(&key, &Authority::new("another root").issuer)
            .unwrap(),
        _ => params.signed_by(&key, &root.issuer).unwrap(),
    };
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap()
}

const ANSWER: &str = "HTTP/1.1 500 Oops\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// A shop whose machine trusts the root and nothing else.
fn shop(root: &Authority) -> Shop {
    let mut shop = Shop::open(TestDb::sqlite());
    shop.env.write("root.pem", &root.pem);
    let path = shop.env.path("root.pem");
    shop.env.set("SSL_CERT_FILE", path.to_str().unwrap());
    shop.env.set("SSL_CERT_DIR", "/nowhere");
    shop
}

#[test]
fn a_server_that_does_not_prove_itself_gets_no_byte_of_a_request() {
    let root = Authority::new("root of a test");
    let mut shop = shop(&root);
    for shows in [
        Shows::Itself,
        Shows::Expired,
        Shows::NotYet,
        Shows::OtherHost,
        Shows::SelfSigned,
        Shows::OtherRoot,
    ] {
        let server = Server::start(&root, shows, ANSWER.to_owned());
        shop.env.set(
            "STRIPE_API_BASE",
            &format!("https://localhost:{}", server.address.port()),
        );
        let run = shop.env.run(&["process"]).expect_code(3);
        assert!(
            server.came.load(Ordering::SeqCst) > 0,
            "{shows:?}: nobody came"
        );
        if shows == Shows::Itself {
            assert!(
                server
                    .heard()
                    .contains("authorization: Bearer sk_test_shop"),
                "{}",
                server.heard()
            );
        } else {
            assert_eq!(server.heard(), "", "{shows:?}");
            assert!(run.stderr.contains("certificate"), "{shows:?}: {run}");
        }
    }
}

/// A certificate is for a name; the address is not one.
#[test]
fn a_certificate_for_a_name_is_none_for_its_address() {
    let root = Authority::new("root of a test");
    let mut shop = shop(&root);
    let server = Server::start(&root, Shows::Itself, ANSWER.to_owned());
    shop.env
        .set("STRIPE_API_BASE", &format!("https://{}", server.address));
    let run = shop.env.run(&["process"]).expect_code(3);
    assert_eq!(server.heard(), "");
    assert!(run.stderr.contains("certificate"), "{run}");
}

/// A server of an old protocol is hung up on, before a request is made. What it says is written
/// here byte by byte, as no library of today speaks it.
#[test]
fn an_old_protocol_is_refused() {
    let mut shop = shop(&Authority::new("root of a test"));
    for minor in [1_u8, 2] {
        // TLS 1.0 is 3.1 on the wire, TLS 1.1 is 3.2.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let heard = Arc::<Mutex<Vec<(Vec<u8>, Vec<u8>)>>>::default();
        let told = Arc::clone(&heard);
        // Ends with the tests: nobody calls it any more.
        std::thread::spawn(move || {
            for mut socket in listener.incoming().flatten() {
                let mut begin = [0; 4096];
                let length = socket.read(&mut begin).unwrap();
                // ServerHello: the version, 32 random bytes, no session, AES 128 with SHA, no compression.
                let mut hello = vec![2, 0, 0, 38, 3, minor];
                hello.extend([7; 32]);
                hello.extend([0, 0, 0x2f, 0]);
                let mut record = vec![22, 3, minor, 0, 42];
                record.extend(hello);
                socket.write_all(&record).unwrap();
                let mut rest = Vec::new();
                let _ = socket.read_to_end(&mut rest);
                told.lock().unwrap().push((begin[..length].to_vec(), rest));
            }
        });
        shop.env.set(
            "STRIPE_API_BASE",
            &format!("https://localhost:{}", address.port()),
        );
        let run = shop.env.run(&["process"]).expect_code(3);
        assert!(run.stderr.contains("peer is incompatible"), "{run}");
        let heard = heard.lock().unwrap();
        assert!(!heard.is_empty());
        for (begin, rest) in heard.iter() {
            assert_eq!(begin[..2], [22, 3], "it began with TLS");
            // An alert and the end, and nothing that looks like a request.
            assert!(
                rest.len() < 20 && rest.first() == Some(&21),
                "{minor}: {rest:?}"
            );
        }
    }
}

/// Not to another host, not to the same one, not to plain HTTP: nobody comes to where a redirect
/// leads.
#[test]
fn a_redirect_is_not_followed() {
    let root = Authority::new("root of a test");
    let mut shop = shop(&root);
    let plain = TcpListener::bind("127.0.0.1:0").unwrap();
    plain.set_nonblocking(true).unwrap();
    let elsewhere = Server::start(&root, Shows::Itself, ANSWER.to_owned());
    let port = elsewhere.address.port();
    for status in [301, 302, 303, 307, 308] {
        for to in [
            format!("https://localhost:{port}/v1/account"),
            format!("http://{}/v1/account", plain.local_addr().unwrap()),
        ] {
            let answer = format!(
                "HTTP/1.1 {status} Go\r\nlocation: {to}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
            );
            let server = Server::start(&root, Shows::Itself, answer);
            shop.env.set(
                "STRIPE_API_BASE",
                &format!("https://localhost:{}", server.address.port()),
            );
            for command in ["process", "doctor", "reconcile"] {
                let run = shop.env.run(&[command]);
                assert_ne!(run.code, 0, "{run}");
            }
            assert!(server.heard().contains("sk_test_shop"));
        }
    }
    assert_eq!(elsewhere.came.load(Ordering::SeqCst), 0);
    assert!(plain.accept().is_err(), "somebody came");
}
