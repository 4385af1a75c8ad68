//! `driftlet-bindgen MODULE.wasm FOLDER NAME`: what `wasm-bindgen --target web` does, as a program of this workspace, so that its
//! version is always that of the library and nothing has to be installed.

use std::env::args;

use anyhow::{Result, bail};
use wasm_bindgen_cli_support::Bindgen;

fn main() -> Result<()> {
    let arguments: Vec<String> = args().skip(1).collect();
    let [module, folder, name] = &arguments[..] else { bail!("usage: driftlet-bindgen MODULE.wasm FOLDER NAME") };
    Bindgen::new()
        .input_path(module)
        .out_name(name)
        .web(true)?
        .typescript(true)
        .remove_name_section(true)
        .remove_producers_section(true)
        .generate(folder)
}
