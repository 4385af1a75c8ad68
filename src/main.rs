//! The command line of Driftlet.

mod bench;
mod commands;
mod comparison;
mod given_noise;
mod model_file;
mod network;
mod progress;
mod sampling;
mod shipped;
mod targets;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Train, quantize and run one-step drifting generators on anything.
#[derive(Parser)]
#[command(version, about, after_help = "Exit codes: 0 done, 1 failed (the message says what and why), 2 wrong usage.")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// The whole story on the shipped model: quantize, generate, compare; no network, under a minute
    Demo(commands::demo::Arguments),
    /// Train a network as a TOML file says
    #[cfg(feature = "train")]
    Train(commands::train::Arguments),
    /// Random weights: size and time a network before training it
    Init(commands::init::Arguments),
    /// Make a checkpoint of a published artifact
    Import(commands::import::Arguments),
    /// Turn a checkpoint into a .drift file
    Quantize(commands::quantize::Arguments),
    /// Write a network for other engines, as ONNX
    Export(commands::export::Arguments),
    /// List operators, flash, exact arena, multiply-accumulates and hash of a .drift file
    Inspect(commands::inspect::Arguments),
    /// Time a .drift file: start, pictures, every operator, beside the measured peak of this machine
    Bench(commands::bench::Arguments),
    /// Generate pictures
    Sample(commands::sample::Arguments),
    /// Say what quantization cost: Frechet distances of paired samples with confidence intervals
    Compare(commands::compare::Arguments),
    /// Statistics of a data set, what Frechet distances are measured to
    Stats(commands::stats::Arguments),
}

fn main() -> ExitCode {
    // `driftlet inspect .. | head` ends quietly, as other programs do, not with a panic.
    sigpipe::reset();
    let result = match Cli::parse().command {
        Command::Demo(arguments) => commands::demo::run(&arguments),
        #[cfg(feature = "train")]
        Command::Train(arguments) => commands::train::run(arguments),
        Command::Init(arguments) => commands::init::run(&arguments),
        Command::Import(arguments) => commands::import::run(&arguments),
        Command::Quantize(arguments) => commands::quantize::run(&arguments),
        Command::Export(arguments) => commands::export::run(&arguments),
        Command::Inspect(arguments) => commands::inspect::run(&arguments),
        Command::Bench(arguments) => commands::bench::run(&arguments),
        Command::Sample(arguments) => commands::sample::run(&arguments),
        Command::Compare(arguments) => commands::compare::run(&arguments),
        Command::Stats(arguments) => commands::stats::run(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // A message may already hold its cause's.
            let mut message = error.to_string();
            for cause in error.chain().skip(1).map(|cause| cause.to_string()) {
                if !message.contains(&cause) {
                    message = format!("{message}: {cause}");
                }
            }
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}
