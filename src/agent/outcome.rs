//! What became of telling the application.

/// What became of one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Told,
    /// It started after the files were there, and has read them by itself.
    Knows,
    /// Nobody was there to be told, and why.
    Absent(String),
    /// It did not work, and why.
    Failed(String),
}
