//! Why a volume could not be read.

use std::path::{Path, PathBuf};

use rustix::io::Errno;

use crate::{feed::Trouble, snapshot::Unreadable};

/// Why a volume could not be read. It names the path, and never quotes content.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VolumeError {
    /// Nothing is there.
    #[error("{} does not exist", path.display())]
    Missing {
        /// The directory or file.
        path: PathBuf,
    },
    /// The process may not read it.
    #[error("{} cannot be read: permission denied", path.display())]
    Denied {
        /// The directory or file.
        path: PathBuf,
    },
    /// `..data` leads to nothing.
    #[error("{} is a broken link", path.display())]
    Dangling {
        /// The link.
        path: PathBuf,
    },
    /// A link, where none is followed: see [`VolumeBuilder::contained`](crate::VolumeBuilder::contained).
    #[error("{} is behind a link, which is not followed here; use the target of the link", path.display())]
    Link {
        /// The directory or file.
        path: PathBuf,
    },
    /// A link that leads out of the volume, where none of those is followed.
    #[error("{} is a link to outside the volume", path.display())]
    Outside {
        /// The link.
        path: PathBuf,
    },
    /// It was swapped again and again while it was read.
    #[error("{} was replaced during every read", path.display())]
    Busy {
        /// The directory.
        path: PathBuf,
    },
    /// A single file whose name is not UTF-8, or none.
    #[error("{} does not have a name that is a possible key", path.display())]
    Name {
        /// The file.
        path: PathBuf,
    },
    /// A single file that could not be read.
    #[error("{} {unreadable}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is the matter with it.
        unreadable: Unreadable,
    },
    /// Any other answer of the operating system.
    #[error("{} cannot be read (operating system error {errno})", path.display())]
    Io {
        /// The directory or file.
        path: PathBuf,
        /// The number, as in `errno(3)`.
        errno: i32,
    },
    /// The runtime is being shut down.
    #[error("the runtime is shutting down")]
    Shutdown,
}

impl VolumeError {
    pub(super) fn new(path: &Path, errno: Errno) -> Self {
        let path = path.to_owned();
        match errno {
            Errno::NOENT => Self::Missing { path },
            Errno::ACCESS | Errno::PERM => Self::Denied { path },
            Errno::XDEV => Self::Outside { path },
            errno => Self::Io {
                path,
                errno: errno.raw_os_error(),
            },
        }
    }

    /// One word out of a fixed list, for the label of a metric.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "missing",
            Self::Denied { .. } => "denied",
            Self::Dangling { .. } => "dangling",
            Self::Link { .. } => "link",
            Self::Outside { .. } => "outside",
            Self::Busy { .. } => "busy",
            Self::Name { .. } => "name",
            Self::File { unreadable, .. } => unreadable.kind(),
            Self::Io { .. } => "io",
            Self::Shutdown => "shutdown",
        }
    }
}

impl From<&VolumeError> for Trouble {
    fn from(error: &VolumeError) -> Self {
        Self::new(error.kind(), error.to_string())
    }
}
