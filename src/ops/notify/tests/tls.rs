use std::io::Write as _;
use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio_rustls::TlsAcceptor;

use super::receiver::{Answer, Receiver};
use super::*;
use crate::ops::notify::post::{PostError, roots};

/// A certificate authority of its own in PEM, and what serves `localhost` by it.
fn authority() -> (String, TlsAcceptor) {
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key");
    let authority = CertifiedIssuer::self_signed(params, key).expect("a certificate");
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
    let leaf = params.signed_by(&key, &authority).expect("a certificate");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring has suites for each version")
        .with_no_client_auth()
        .with_single_cert(
            vec![leaf.der().clone()],
            PrivateKeyDer::try_from(key.serialize_der()).expect("a key"),
        )
        .expect("they belong together");
    (authority.pem(), TlsAcceptor::from(Arc::new(config)))
}

async fn post(receiver: &Receiver, ca_file: Option<&Path>) -> Result<(), PostError> {
    let poster = Poster::new(ca_file).expect("usable certificates");
    let (endpoint, timeout) = (receiver.endpoint(), Duration::from_secs(30));
    assert!(endpoint.is_encrypted());
    poster.post(&endpoint, "application/json", "{}".into(), timeout).await
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(text.as_bytes()).expect("it is written");
    file
}

#[tokio::test]
async fn a_receiver_with_certificates_of_its_own_is_told_once_they_are_trusted() {
    let (pem, tls) = authority();
    let receiver = Receiver::start_with(&[Answer::With("200 OK")], Some(tls)).await;
    let ca_file = file(&pem);
    assert_eq!(post(&receiver, Some(ca_file.path())).await, Ok(()));
    assert_eq!(receiver.requests().len(), 1);
}

#[tokio::test]
async fn a_receiver_that_is_not_trusted_is_sent_nothing() {
    let (_, tls) = authority();
    let (others, _) = authority();
    let receiver = Receiver::start_with(&[Answer::With("200 OK")], Some(tls)).await;
    let others = file(&others);
    for ca_file in [None, Some(others.path())] {
        let error = post(&receiver, ca_file)
            .await
            .expect_err("it is not trusted")
            .to_string();
        assert!(error.contains("certificate") && !error.contains("s3cret"), "{error}");
    }
    assert_eq!(receiver.requests().len(), 0);
}

#[test]
fn the_public_authorities_are_compiled_in_and_those_of_the_file_are_added() {
    let public = roots(None).expect("no file to read").len();
    assert!(public > 100, "{public}");
    let (pem, _) = authority();
    let both = roots(Some(file(&pem).path())).expect("a certificate").len();
    assert_eq!(both, public + 1);
}

#[test]
fn a_file_without_certificates_is_named() {
    let (nothing, garbage) = (
        file("nothing"),
        file("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
    );
    for path in [nothing.path(), garbage.path(), Path::new("/nowhere")] {
        let error = Poster::new(Some(path)).err().expect("it cannot be used").to_string();
        let named = error.starts_with("--notify-ca-file: ") && error.contains(&*path.to_string_lossy());
        assert!(named && error.lines().count() == 1, "{error}");
    }
}
