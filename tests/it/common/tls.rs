//! Servers that speak TLS: certificates that only a test's own root has signed, and a front before
//! the PostgreSQL server of the tests, which listens on a socket file only. The front does what
//! PostgreSQL does at the start of a connection and then hands every byte on.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use super::temporary_folder;

/// What a client sends to ask for TLS: the length of the message and a number.
/// Source: PostgreSQL, "Message Formats", `SSLRequest`.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// A front that ends when it is dropped.
pub(crate) struct TlsFront {
    address: SocketAddr,
    folder: TempDir,
    _runtime: tokio::runtime::Runtime,
}

impl TlsFront {
    /// Listens on loopback, with a certificate for `localhost` that only its own root has signed.
    pub(crate) fn before(socket: PathBuf) -> Self {
        let folder = temporary_folder();
        let config = certified(&folder.path().join("root.pem"));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime starts");
        let listener = runtime
            .block_on(TcpListener::bind("127.0.0.1:0"))
            .expect("a port is free");
        let address = listener.local_addr().expect("it listens");
        let acceptor = TlsAcceptor::from(Arc::new(config));
        runtime.spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (acceptor, socket) = (acceptor.clone(), socket.clone());
                tokio::spawn(async move {
                    // A client that hangs up is what some tests are about.
                    let _ = serve(client, &acceptor, &socket).await;
                });
            }
        });
        Self {
            address,
            folder,
            _runtime: runtime,
        }
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// The root certificate, in PEM.
    pub(crate) fn root(&self) -> PathBuf {
        self.folder.path().join("root.pem")
    }
}

async fn serve(
    mut client: TcpStream,
    acceptor: &TlsAcceptor,
    socket: &Path,
) -> std::io::Result<()> {
    let mut asked = [0; 8];
    client.read_exact(&mut asked).await?;
    assert_eq!(asked, SSL_REQUEST, "the client asks for TLS first");
    client.write_all(b"S").await?;
    let mut client = acceptor.accept(client).await?;
    let mut server = UnixStream::connect(socket).await?;
    copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}

/// The same as files, for a server of another language.
pub(crate) struct CertificateFiles {
    folder: TempDir,
}

impl CertificateFiles {
    /// A certificate for `localhost` that only its own root has signed.
    pub(crate) fn new() -> Self {
        let folder = temporary_folder();
        let (certificate, key) = certificate(&folder.path().join("root.pem"));
        for (name, text) in [
            ("cert.pem", certificate.pem()),
            ("key.pem", key.serialize_pem()),
        ] {
            std::fs::write(folder.path().join(name), text).expect("it is written");
        }
        Self { folder }
    }

    /// `root.pem`, `cert.pem` or `key.pem`.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// A certificate for `localhost` signed by a root that is written to `root`, and its key.
fn certificate(root: &Path) -> (rcgen::Certificate, rcgen::KeyPair) {
    let root_key = rcgen::KeyPair::generate().expect("a key is made");
    let mut authority = rcgen::CertificateParams::default();
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    authority
        .distinguished_name
        .push(rcgen::DnType::CommonName, "root of a test");
    let own = authority.self_signed(&root_key).expect("a root is made");
    std::fs::write(root, own.pem()).expect("the root is written");
    let issuer = rcgen::Issuer::new(authority, root_key);

    let key = rcgen::KeyPair::generate().expect("a key is made");
    let server = rcgen::CertificateParams::new(vec!["localhost".to_owned()])
        .and_then(|params| params.signed_by(&key, &issuer))
        .expect("a certificate is made");
    (server, key)
}

fn certified(root: &Path) -> ServerConfig {
    let (server, key) = certificate(root);
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| {
            builder
                .with_no_client_auth()
                .with_single_cert(vec![server.der().clone()], key)
        })
        .expect("a server can use them")
}
