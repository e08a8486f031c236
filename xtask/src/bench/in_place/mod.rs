//! Changes of mounted ConfigMaps, on a real kubelet: until they are in the files of a running pod, until
//! its application was told, until Windlass has it proven.
//!
//! | file | step |
//! |---|---|
//! | [`site`] | a cluster with a real node, and what is in it |
//! | [`objects`] | the objects |
//! | [`watches`] | what the API server tells: proofs, and changes themselves |
//! | [`change`] | makes a change and takes the times |
//! | [`kubelet`] | what the kubelet asks the API server |
//! | [`figures`] | the order of all measurements, and what came of it |
//! | [`rows`] | what is shown |

mod change;
mod figures;
mod kubelet;
mod objects;
mod rows;
mod site;
mod watches;

use std::{fmt, fs, path::Path};

use anyhow::{Context, Result};
pub use figures::{Figures, Series};

use super::{sizes::Sizes, table::Row};

/// How the kubelet notices that a ConfigMap changed; the words of its configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detection {
    /// Its default: one watch for each object.
    Watch,
    /// Asks again after a while, and when a pod that uses the object is changed.
    Cache,
}

impl Detection {
    const ALL: [Self; 2] = [Self::Watch, Self::Cache];

    /// The word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Watch => "Watch",
            Self::Cache => "Cache",
        }
    }
}

impl fmt::Display for Detection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.word())
    }
}

/// Which of the three pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// Nobody watches: who wrote the ConfigMap touches the pod with the next request.
    Floor,
    /// Windlass touches the pod, and asks its agent.
    Nudged,
    /// Windlass touches nothing, and asks.
    Alone,
}

impl Who {
    const ALL: [Self; 3] = [Self::Floor, Self::Nudged, Self::Alone];

    /// Of the Deployment, its ConfigMap and its policy.
    fn name(self) -> &'static str {
        match self {
            Self::Floor => "floor",
            Self::Nudged => "nudged",
            Self::Alone => "alone",
        }
    }

    /// Whether Windlass has it.
    fn is_governed(self) -> bool {
        self != Self::Floor
    }
}

/// What was measured.
pub struct Measured {
    pub kubernetes: String,
    pub rows: Vec<Row>,
    pub all: Vec<Figures>,
}

/// Measures with one cluster after the other.
pub async fn measure(sizes: &Sizes, windlass: &Path, devcluster: &Path, folder: &Path) -> Result<Measured> {
    let mut all = Vec::new();
    let mut kubernetes = String::new();
    for detection in Detection::ALL {
        let folder = folder.join(format!("in-place-{detection}"));
        fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
        let site = site::Site::start(detection, devcluster, windlass, &folder).await?;
        kubernetes.clone_from(&site.info().version);
        let outcome = figures::run(&site, sizes).await;
        site.stop().await?;
        all.push(outcome?);
    }
    Ok(Measured {
        kubernetes,
        rows: rows::rows(&all),
        all,
    })
}
