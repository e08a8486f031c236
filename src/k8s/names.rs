//! What names of objects may look like
//! (<https://kubernetes.io/docs/concepts/overview/working-with-objects/names/>).

/// What the name of an object may have.
const MAX_NAME: usize = 253;

/// An RFC 1123 label, as the name of a namespace is one.
pub fn is_label(text: &str) -> bool {
    text.len() <= 63 && is_dns_part(text)
}

/// An RFC 1123 subdomain, with room for a suffix of this length. Kubernetes limits its whole length only, not
/// that of its parts.
pub fn is_subdomain(text: &str, suffix: usize) -> bool {
    text.len() + suffix <= MAX_NAME && text.split('.').all(is_dns_part)
}

fn is_dns_part(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}
