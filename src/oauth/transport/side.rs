//! Whose doing it is that a connection failed: that of the server, or of the certificates the caller is configured with.

use std::error::Error;
use std::io;

use rustls::{AlertDescription, CertificateError, Error as TlsError};

use crate::oauth::error::Side;
use crate::oauth::tls::Tls;

/// What a request that got no answer tells of. In doubt it is the server, but for a connection
/// that is lost once a certificate was shown.
pub(super) fn side(error: &reqwest::Error, tls: &Tls) -> Side {
    let shows_certificate = tls.identity.is_some();
    let is_callers = match tls_error(error) {
        Some(TlsError::InvalidCertificate(why)) => tls.roots.is_some() && is_of_no_root(why),
        Some(TlsError::AlertReceived(AlertDescription::HandshakeFailure)) => shows_certificate,
        Some(TlsError::AlertReceived(alert)) => is_about_certificates(*alert),
        // TLS 1.3 lets the request go out before a certificate is refused, and HTTP/2 hides the alert.
        _ => shows_certificate && !error.is_connect() && !error.is_timeout(),
    };
    if is_callers { Side::Caller } else { Side::Server }
}

/// What TLS found, wherever it stands among the causes.
pub(super) fn tls_error<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e TlsError> {
    std::iter::successors(Some(error), |error| cause(*error)).find_map(|error| error.downcast_ref())
}

fn cause<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e (dyn Error + 'static)> {
    match error.downcast_ref::<io::Error>() {
        // What it holds is not its source; the source of that is.
        Some(error) => error.get_ref().map(|held| held as &(dyn Error + 'static)),
        None => error.source(),
    }
}

/// Whether other roots might vouch for the server. What is wrong with the certificate itself, as its time or its name, is
/// wrong for everybody.
pub(super) fn is_of_no_root(why: &CertificateError) -> bool {
    matches!(
        why,
        CertificateError::UnknownIssuer
            // A root of the same name with another key.
            | CertificateError::BadSignature
            | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. }
    )
}

/// Whether a server says with it that it takes no certificate like this, or none like no certificate.
fn is_about_certificates(alert: AlertDescription) -> bool {
    matches!(
        alert,
        AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied
            | AlertDescription::CertificateRequired
    )
}
