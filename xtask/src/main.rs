//! Developer commands: the one entry for people and for CI.

mod applications;
mod bench;
mod chart;
mod check;
mod client;
mod cluster;
mod controller;
mod cpu;
mod demo;
mod devcluster;
mod generate;
mod helm;
mod image;
mod kinds;
mod lint;
mod machine;
mod path;
mod process;
mod say;
mod test;
#[cfg(test)]
mod tests;
mod tools;
mod values;
mod workloads;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Developer commands for Windlass.
///
/// Everything runs on this machine: a Kubernetes API server is compiled from source the first time
/// (about 8 minutes on two cores) and started in seconds afterwards. Only some of the tests need a
/// container runtime, and root.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Show on a real API server what Windlass does (half a minute, once everything is built).
    Demo(demo::Options),
    /// Run what needs neither Go nor root: formatting, clippy, unit tests, generated files (3 minutes).
    ///
    /// For each commit. Properties and simulations are tried with few histories.
    Check,
    /// Run every test (20 minutes on two cores, once everything is built).
    Test(test::Options),
    /// Check formatting, lints with every set of features, documentation and licences (2 minutes, once
    /// everything is built).
    Lint,
    /// Write the generated files, or check that they are up to date (seconds).
    Generate(generate::Options),
    /// Build a container image, with its SBOM (5 minutes the first time).
    Image(image::Options),
    /// Test the Helm chart: lint, unit tests, on a real API server (2 minutes, once everything is built).
    Chart,
    /// Measure the controller against a bare watch with one patch (2 to 9 minutes at full size).
    Bench(Box<bench::Options>),
    /// A Kubernetes to try things on: API server, controllers, scheduler and a node without containers.
    #[command(subcommand)]
    Cluster(cluster::Command),
    /// The images that the tests install.
    #[command(hide = true)]
    TestImages,
    /// The bare controller that `bench` compares with.
    #[command(hide = true)]
    BenchFloor(bench::FloorOptions),
    /// Run a program that ends when its parent does.
    #[command(hide = true)]
    Child(process::ChildOptions),
    /// Run a program and report the CPU time of all its processes.
    #[command(hide = true)]
    Measured(cpu::Options),
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<ExitCode> {
    match command {
        Command::Demo(options) => demo::run(&options),
        Command::Check => check::run(),
        Command::Test(options) => test::run(&options),
        Command::Lint => lint::run(),
        Command::Generate(options) => generate::run(&options),
        Command::Image(options) => image::run(&options),
        Command::Chart => chart::run(),
        Command::Bench(options) => bench::run(&options),
        Command::Cluster(command) => cluster::run(&command),
        Command::TestImages => image::for_tests(),
        Command::BenchFloor(options) => bench::run_floor(&options),
        Command::Child(options) => process::become_child(&options),
        Command::Measured(options) => return cpu::run(&options),
    }
    .map(|()| ExitCode::SUCCESS)
}
