//! Driftlet command line.

fn main() {
    println!("driftlet {}", env!("CARGO_PKG_VERSION"));
}
