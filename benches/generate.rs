//! Time per picture of the shipped architecture in each precision: `cargo bench --bench generate`.

#![allow(missing_docs, reason = "criterion's macros make undocumented functions")]

use aligned_vec::AVec;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use driftlet_checkpoint::{Architecture, Checkpoint, Config};
use driftlet_quantize::{Options, Precision, quantize};
use driftlet_runtime::{Guidance, Model, Sampler};

fn generate(criterion: &mut Criterion) {
    let micro = Architecture::preset("micro").expect("a preset");
    let checkpoint = Checkpoint::random(Config::new(micro), 1);
    let mut group = criterion.benchmark_group("micro");
    for precision in [Precision::F32, Precision::F16, Precision::Int8] {
        let file = quantize(&checkpoint, &Options::new("bench", precision)).expect("a model");
        let file = AVec::<u8>::from_slice(64, &file);
        let model = Model::parse(&file).expect("a valid file");
        let mut arena = AVec::<u8>::new(64);
        arena.resize(model.arena_len(), 0);
        let mut sampler = Sampler::new(&model, &mut arena).expect("an arena");
        let class = model.class(3).expect("a class");
        let expected = sampler.generate(0, class, Guidance::from_q8(256)).to_vec();
        group.throughput(Throughput::Elements((0..model.op_count()).map(|i| model.op_info(i).macs).sum()));
        group.bench_function(precision.name(), |bencher| {
            bencher.iter(|| assert_eq!(sampler.generate(0, class, Guidance::from_q8(256)), expected));
        });
    }
    group.finish();
}

criterion_group!(benches, generate);
criterion_main!(benches);
