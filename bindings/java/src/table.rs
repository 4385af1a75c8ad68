//! Generators by number.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use driftlet_owned::Generator;

#[derive(Default)]
struct Table {
    last: i64,
    generators: HashMap<i64, Arc<Mutex<Generator>>>,
}

static TABLE: LazyLock<Mutex<Table>> = LazyLock::new(Mutex::default);

fn table() -> MutexGuard<'static, Table> {
    // Inserting and removing leave nothing half done.
    TABLE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps a generator under a number that no other ever had; numbers start at 1.
pub fn insert(generator: Generator) -> i64 {
    let mut table = table();
    table.last += 1;
    let number = table.last;
    table.generators.insert(number, Arc::new(Mutex::new(generator)));
    number
}

/// The generator of a number; it stays alive while it is used, whoever removes it meanwhile.
pub fn get(number: i64) -> Option<Arc<Mutex<Generator>>> {
    table().generators.get(&number).cloned()
}

/// Forgets a generator.
pub fn remove(number: i64) {
    table().generators.remove(&number);
}
