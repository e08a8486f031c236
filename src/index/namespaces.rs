//! Namespaces that are taken up and let go by their labels.
//!
//! A namespace is taken up in two steps: first its sources, and its workloads only when every watch
//! of sources has listed them. A workload that was decided before would seem to lack what it uses.

use std::collections::HashSet;

use windlass_core::types::name::{Namespace, SourceRef, WorkloadRef};

use super::Index;

/// The namespaces that belong to the index.
#[derive(Debug, Default)]
pub(crate) struct SelectedNamespaces {
    sources: HashSet<Namespace>,
    workloads: HashSet<Namespace>,
}

/// How far a namespace is taken up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SelectionStage {
    Sources,
    Workloads,
}

impl Index {
    /// From now on only selected namespaces belong to the index; none does yet.
    pub fn enable_namespace_selector(&mut self) {
        self.selected = Some(SelectedNamespaces::default());
    }

    /// Takes a namespace up. Gives whether that is news.
    pub fn select_namespace(&mut self, namespace: &Namespace, stage: SelectionStage) -> bool {
        let Some(selected) = &mut self.selected else {
            return false;
        };
        match stage {
            SelectionStage::Sources => selected.sources.insert(namespace.clone()),
            SelectionStage::Workloads => selected.workloads.insert(namespace.clone()),
        }
    }

    /// The namespaces that are taken up.
    #[must_use]
    pub fn selected_namespaces(&self) -> Vec<Namespace> {
        let taken = self.selected.as_ref().map(|selected| &selected.sources);
        taken.into_iter().flatten().cloned().collect()
    }

    /// Lets a namespace go, with all that is known of it.
    pub fn deselect_namespace(&mut self, namespace: &Namespace) {
        let Some(selected) = &mut self.selected else { return };
        selected.sources.remove(namespace);
        selected.workloads.remove(namespace);
        let workloads: Vec<WorkloadRef> = self
            .workloads
            .keys()
            .chain(self.delegations.values().map(|it| &it.delegation.by.reference))
            .filter(|workload| workload.namespace == *namespace)
            .cloned()
            .collect();
        for workload in workloads {
            self.forget(&workload);
        }
        let sources: Vec<SourceRef> = self
            .sources
            .keys()
            .filter(|source| source.namespace == *namespace)
            .cloned()
            .collect();
        for source in sources {
            self.drop_source(&source);
        }
        self.texts.forget_namespace(namespace);
    }

    pub(crate) fn has_sources_of(&self, namespace: &Namespace) -> bool {
        let selected = self.selected.as_ref();
        selected.is_none_or(|selected| selected.sources.contains(namespace))
    }

    pub(crate) fn has_workloads_of(&self, namespace: &Namespace) -> bool {
        let selected = self.selected.as_ref();
        selected.is_none_or(|selected| selected.workloads.contains(namespace))
    }
}
