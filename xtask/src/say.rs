//! What people read while a command works. Plain lines, since CI logs keep them.

use std::{fmt::Display, time::Duration};

/// A step begins.
pub fn step(text: impl Display) {
    println!("\n==> {text}");
}

/// Something worth knowing within a step.
pub fn note(text: impl Display) {
    println!("    {text}");
}

/// A statement that was checked.
pub fn checked(text: impl Display) {
    println!("  ✔ {text}");
}

/// A duration with as many digits as a person can use.
pub fn time(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    if seconds < 0.1 {
        format!("{:.1} ms", seconds * 1000.0)
    } else if seconds < 100.0 {
        format!("{seconds:.1} s")
    } else {
        format!("{} min {:02} s", duration.as_secs() / 60, duration.as_secs() % 60)
    }
}
