//! Everything that a resumed run needs, in one file that is replaced as a whole.

use std::collections::HashMap;
use std::path::Path;

use burn::module::AutodiffModule;
use burn::optim::Optimizer;
use burn::record::{BinBytesRecorder, FullPrecisionSettings, Record, Recorder};
use burn::tensor::backend::{AutodiffBackend, Backend};
use driftlet_checkpoint::write_atomic;
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};

use super::Averages;
use crate::TrainError;
use crate::config::Config;

type Bytes = BinBytesRecorder<FullPrecisionSettings>;

/// What a run continues from.
pub struct State<NetworkRecord, EmaRecord, OptimizerRecord> {
    pub step: u64,
    pub network: NetworkRecord,
    pub averages: Vec<EmaRecord>,
    pub optimizer: OptimizerRecord,
}

/// Writes the state of a run after a step.
pub fn save<B: AutodiffBackend, N: AutodiffModule<B>>(
    path: &Path,
    config: &Config,
    step: u64,
    network: &N,
    averages: &Averages<N, B>,
    optimizer: &impl Optimizer<N, B>,
) -> Result<(), TrainError> {
    use burn::module::Module;
    let mut parts = vec![
        ("network".to_owned(), bytes::<B, _>(path, network.clone().into_record())?),
        ("optimizer".to_owned(), bytes::<B, _>(path, optimizer.to_record())?),
    ];
    for (i, average) in averages.iter().enumerate() {
        parts.push((average_name(i), bytes::<B::InnerBackend, _>(path, average.clone().into_record())?));
    }
    let views = parts
        .iter()
        .map(|(name, bytes)| Ok((name, TensorView::new(Dtype::U8, vec![bytes.len()], bytes)?)))
        .collect::<Result<Vec<_>, safetensors::SafeTensorError>>()
        .map_err(|e| damaged(path, e))?;
    let about = HashMap::from([("step".into(), step.to_string()), ("config".into(), fingerprint(config))]);
    let file = safetensors::serialize(views, Some(about)).map_err(|e| damaged(path, e))?;
    write_atomic(path, &file).map_err(|source| TrainError::Write { path: path.into(), source })
}

/// Reads the state of a run of the same configuration.
pub fn load<B: AutodiffBackend, N: Record<B>, E: Record<B::InnerBackend>, O: Record<B>>(
    path: &Path,
    config: &Config,
    averages: usize,
    device: &B::Device,
) -> Result<State<N, E, O>, TrainError> {
    let file =
        std::fs::read(path).map_err(|e| problem(path, format!("cannot be read ({e}); there is no run to resume")))?;
    let (_, about) = SafeTensors::read_metadata(&file).map_err(|e| damaged(path, e))?;
    let about = about.metadata().clone().unwrap_or_default();
    let step = about.get("step").and_then(|s| s.parse().ok()).ok_or_else(|| problem(path, "has no step".into()))?;
    if about.get("config") != Some(&fingerprint(config)) {
        let text = "belongs to another configuration; resume with the one in config.toml beside it, or start afresh";
        return Err(problem(path, text.into()));
    }
    let tensors = SafeTensors::deserialize(&file).map_err(|e| damaged(path, e))?;
    let part = |name: &str| Ok::<_, TrainError>(tensors.tensor(name).map_err(|e| damaged(path, e))?.data().to_vec());
    let recorder = Bytes::default();
    let network = Recorder::<B>::load(&recorder, part("network")?, device).map_err(|e| damaged(path, e))?;
    let average =
        |i| Recorder::<B::InnerBackend>::load(&recorder, part(&average_name(i))?, device).map_err(|e| damaged(path, e));
    let averages = (0..averages).map(average).collect::<Result<_, _>>()?;
    let optimizer = Recorder::<B>::load(&recorder, part("optimizer")?, device).map_err(|e| damaged(path, e))?;
    Ok(State { step, network, averages, optimizer })
}

fn average_name(index: usize) -> String {
    format!("average.{index}")
}

fn bytes<B: Backend, R: Record<B>>(path: &Path, record: R) -> Result<Vec<u8>, TrainError> {
    Recorder::<B>::record(&Bytes::default(), record, ()).map_err(|e| damaged(path, e))
}

/// The configuration without what may change when a run is resumed: its end, what it prints, and what it runs on.
fn fingerprint(config: &Config) -> String {
    let mut config = config.clone();
    config.log = Default::default();
    config.devices = 1;
    // Where a run ends is only about its future.
    config.steps = 1;
    config.optimizer.decay_steps = 0;
    toml::to_string(&config).unwrap_or_default()
}

fn damaged(path: &Path, error: impl std::fmt::Display) -> TrainError {
    problem(path, format!("cannot be read as the state of a run ({error}); start afresh from the checkpoint beside it"))
}

fn problem(path: &Path, problem: String) -> TrainError {
    TrainError::Run { directory: path.into(), problem }
}
