//! Time per picture of whole networks: `cargo bench --bench networks`. They are checked first.

#![allow(missing_docs, reason = "criterion's macros make undocumented functions")]

mod support;

use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use driftlet_checkpoint::{Architecture, Checkpoint, Config};
use driftlet_quantize::{Activations, Options, Precision, quantize};
use driftlet_runtime::Guidance;
use support::Subject;

fn networks(criterion: &mut Criterion) {
    for preset in ["nano", "small", "dit-28"] {
        let checkpoint = Checkpoint::random(Config::new(Architecture::preset(preset).expect("a preset")), 1);
        let mut group = criterion.benchmark_group(preset);
        group.warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(2));
        for (name, precision, activations) in [
            ("f32", Precision::F32, Activations::Sixteen),
            ("f16", Precision::F16, Activations::Sixteen),
            ("int8", Precision::Int8, Activations::Sixteen),
            ("int8, 8-bit activations", Precision::Int8, Activations::Eight),
        ] {
            let options = Options { activations, ..Options::new("bench", precision) };
            let subject = Subject::new(&quantize(&checkpoint, &options).expect("a model"));
            subject.checked(|model, sampler| {
                let macs = model.macs();
                let class = model.class(0).expect("a class");
                group.throughput(Throughput::Elements(macs));
                group.bench_function(name, |bencher| {
                    bencher.iter(|| sampler.generate(0, class, Guidance::from_q8(256)).len());
                });
            });
        }
        group.finish();
    }
}

criterion_group!(benches, networks);
criterion_main!(benches);
