//! What a workload asks for, in whose words ever.

use super::kind::KindId;
use super::opt_in::{AnnotationOptions, Annotations, InvalidAnnotation, OptIn, OwnAnnotations, own};
use crate::compat;
use crate::types::name::Namespace;

/// Reads what a workload asks for: our own annotations first, then those of whom we stand in for.
///
/// # Errors
/// The first of our own annotations whose value is not among those accepted.
pub fn read(
    annotations: &Annotations<'_>,
    kind: KindId,
    namespace: &Namespace,
    reading: AnnotationOptions,
) -> Result<Option<OptIn>, InvalidAnnotation> {
    match own(annotations, namespace, reading)? {
        OwnAnnotations::OptInResult(opt_in) => Ok(Some(opt_in)),
        OwnAnnotations::HandsOff => Ok(None),
        OwnAnnotations::Silent => Ok(compat::read(annotations, kind, namespace, reading)),
    }
}
