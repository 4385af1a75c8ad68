//! The committed header is what cbindgen makes of the sources. `DRIFTLET_WRITE_HEADER=1 cargo test` writes it.

use std::path::Path;

#[test]
fn header_is_of_these_sources() -> Result<(), Box<dyn std::error::Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut made = Vec::new();
    cbindgen::generate(root)?.write(&mut made);
    let path = root.join("include/driftlet.h");
    if std::env::var_os("DRIFTLET_WRITE_HEADER").is_some() {
        std::fs::write(&path, &made)?;
    }
    let committed = std::fs::read_to_string(&path)?;
    assert_eq!(committed, String::from_utf8(made)?, "write it anew: DRIFTLET_WRITE_HEADER=1 cargo test");
    Ok(())
}
