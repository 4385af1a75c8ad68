//! This host makes the committed hashes, in the profile that the test runs in, with each of its kernels, alone and with
//! several threads. `scripts/matrix` holds other targets to them.
//!
//! Where the arithmetic or the quantizer is meant to change, `DRIFTLET_ACCEPT=1 cargo test -p driftlet-matrix` writes new
//! hashes; see `docs/bit-identity.md`.

use std::collections::BTreeMap;
use std::path::Path;

use aligned_vec::AVec;
use driftlet_matrix::{Engine, Failure, File, files, hash};
use driftlet_runtime::{Alone, Kernels, Model, Pool, Workers};

/// The line of a file in its list.
fn line(file: &File, pool: &Pool) -> Result<String, Failure> {
    let model = Model::parse(&file.bytes).map_err(|e| format!("{}: {e}", file.name))?;
    let mut arena = AVec::<u8>::new(64);
    arena.resize(model.arena_len(), 0);
    let alone = Engine { kernels: Kernels::PORTABLE, workers: &Alone };
    let portable = hash(alone, &model, &mut arena, 0, file.passes)?;
    for kernels in Kernels::available() {
        for (workers, how) in [(&Alone as &dyn Workers, "alone"), (pool, "with three threads")] {
            // What the arena held before differs too.
            let other = hash(Engine { kernels, workers }, &model, &mut arena, 0xa5, file.passes)?;
            assert_eq!(other, portable, "{}: {} kernels {how} differ from portable ones", file.name, kernels.name());
        }
    }
    Ok(format!("{portable}  {}\n", file.name))
}

#[test]
fn results_have_their_committed_hashes() -> Result<(), Failure> {
    let (mut lists, pool) = (BTreeMap::new(), Pool::new(3));
    for file in files()? {
        let list: &mut String = lists.entry(file.set).or_default();
        list.push_str(&line(&file, &pool)?);
    }
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../golden/hashes");
    for (set, list) in lists {
        let path = directory.join(format!("{set}.txt"));
        if std::env::var_os("DRIFTLET_ACCEPT").is_some() {
            std::fs::create_dir_all(&directory)?;
            std::fs::write(&path, &list)?;
        }
        let committed = std::fs::read_to_string(&path)?;
        let differing: Vec<&str> = list.lines().filter(|line| !committed.lines().any(|l| l == *line)).collect();
        assert!(differing.is_empty(), "not as committed in {set}.txt:\n{}", differing.join("\n"));
        assert_eq!(list.lines().count(), committed.lines().count(), "{set}.txt has hashes of files that are no more");
    }
    Ok(())
}
