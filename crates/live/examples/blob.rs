//! A configuration blob that is always the last good one: `cargo run -p windlass-live --example blob DIRECTORY`.

use windlass_live::{Live, Volume};

/// What is in `limits.json`.
#[derive(Debug, serde::Deserialize)]
pub struct Limits {
    /// Connections at a time.
    pub connections: u32,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let limits = load(std::env::args().nth(1).unwrap_or("/etc/web".to_owned())).await?;
    let mut changes = limits.subscribe();
    println!("{:?}", *limits.load());
    while let Some(limits) = changes.next().await {
        println!("{limits:?}");
    }
    Ok(())
}

/// Follows `limits.json` of a directory.
///
/// # Errors
///
/// Wrong content is an error now, and refused later.
pub async fn load(directory: String) -> anyhow::Result<Live<Limits>> {
    Ok(Live::json(&Volume::open(directory).await?, "limits.json")?)
}
