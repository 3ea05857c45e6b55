//! rustls's errors in the lab's words, by the names of the variants: they are what all its versions share.
//!
//! A signature that fails has one name, be it a certificate's or the handshake's own: rustls does not say which.
use rustls::Error;

/// rustls wraps webpki's errors, as text in 0.20 and as variants in 0.23: the last of these names decides.
const REASONS: &[(&str, &str)] = &[
    ("CertExpired", "expired"),
    ("Expired", "expired"),
    ("ExpiredContext", "expired"),
    ("InvalidCertValidity", "malformed"),
    ("CertNotValidYet", "not-yet-valid"),
    ("NotValidYet", "not-yet-valid"),
    ("NotValidYetContext", "not-yet-valid"),
    ("UnknownIssuer", "unknown-ca"),
    ("CertNotValidForName", "wrong-host"),
    ("NotValidForName", "wrong-host"),
    ("NotValidForNameContext", "wrong-host"),
    ("EndEntityUsedAsCa", "not-a-ca"),
    ("CaUsedAsEndEntity", "wrong-usage"),
    ("PathLenConstraintViolated", "path-length"),
    ("MaximumPathDepthExceeded", "path-length"),
    ("NameConstraintViolation", "name-constraints"),
    ("InvalidPurpose", "wrong-usage"),
    ("InvalidPurposeContext", "wrong-usage"),
    ("RequiredEkuNotFound", "wrong-usage"),
    ("InvalidCertificateSignature", "bad-signature"),
    ("BadSignature", "bad-signature"),
    ("InvalidCertificateSignatureType", "weak"), // an algorithm that webpki does not have, such as SHA-1
    ("UnsupportedSignatureAlgorithm", "weak"),
    ("UnsupportedSignatureAlgorithmContext", "weak"),
    ("UnsupportedSignatureAlgorithmForPublicKeyContext", "weak"),
    ("InvalidCertificateEncoding", "malformed"),
    ("BadEncoding", "malformed"),
    ("ExtensionValueInvalid", "malformed"),
    ("MalformedExtensions", "malformed"),
    ("MalformedDnsIdentifier", "malformed"),
    ("UnhandledCriticalExtension", "malformed"),
    ("UnsupportedCriticalExtension", "malformed"),
    ("UnsupportedCertVersion", "malformed"),
    ("Revoked", "revoked"),
];

/// The error as Debug prints it, without the values that some variants carry: `InvalidCertificate(ExpiredContext)`.
pub fn code(error: &Error) -> String {
    let whole = format!("{:?}", error).replace("invalid peer certificate: ", "").replace('"', "");
    match whole.split_once(" {") {
        Some((names, _)) => names.to_string() + &")".repeat(names.matches('(').count()),
        None => whole,
    }
}

/// The lab's reason; None where the error is not about a certificate.
pub fn reason(code: &str) -> Option<&'static str> {
    if !code.starts_with("InvalidCertificate") {
        return None;
    }
    let mut names = code.split(|c: char| !c.is_ascii_alphanumeric()).rev();
    let known = names.find_map(|name| REASONS.iter().find(|(known, _)| *known == name));
    Some(known.map_or("other", |(_, reason)| reason))
}
