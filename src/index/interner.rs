//! Names that many objects repeat, each kept once.
//!
//! Thousands of objects share a few namespaces, and a source's name stands in the source, in each
//! template that reads it, and in the way back. Sixteen bytes of text take forty-eight of memory.

use std::collections::HashSet;
use std::sync::Arc;

use windlass_core::types::name::{Namespace, SourceRef};
use windlass_core::workload::Source;
use windlass_core::workload::reference::Use;

use super::Index;

/// What is shared.
#[derive(Default)]
pub(crate) struct Interner {
    namespaces: HashSet<Namespace>,
}

impl Interner {
    #[cfg(test)]
    pub(crate) fn count(&self) -> usize {
        self.namespaces.len()
    }

    pub(crate) fn forget_namespace(&mut self, namespace: &Namespace) {
        self.namespaces.remove(namespace.as_str());
    }

    pub(crate) fn share_namespace(&mut self, namespace: &mut Namespace) {
        if let Some(known) = self.namespaces.get(namespace.as_str()) {
            namespace.clone_from(known);
        } else {
            self.namespaces.insert(namespace.clone());
        }
    }
}

impl Index {
    /// Of a source that came just now.
    pub(crate) fn share_texts_of_source(&mut self, source: &mut Source) {
        self.texts.share_namespace(&mut source.reference.namespace);
        if let Some(known) = self.known_source(&source.reference) {
            source.reference = known.clone();
        }
    }

    /// Of the sources that a workload uses, as long as nobody else holds the uses.
    pub(crate) fn share_texts_of_uses(&self, own: &Namespace, uses: &mut Arc<[Use]>) {
        for used in Arc::get_mut(uses).into_iter().flatten() {
            if let Some(known) = self.known_source(&used.source(own)) {
                used.name.clone_from(&known.name);
            }
        }
    }

    fn known_source(&self, reference: &SourceRef) -> Option<&SourceRef> {
        let used = self.used_by.get_key_value(reference).map(|(known, _)| known);
        used.or_else(|| self.sources.get_key_value(reference).map(|(known, _)| known))
    }
}
