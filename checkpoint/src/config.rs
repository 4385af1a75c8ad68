//! `config.json`.

use serde::{Deserialize, Serialize};

use crate::Architecture;

/// What a network is, and how it came to be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Version of this layout: 1.
    pub format: u32,
    /// The network.
    pub architecture: Architecture,
    /// Data set that it was trained on; empty if it was not.
    #[serde(default)]
    pub data: String,
    /// Names of the classes; empty where nobody named them.
    #[serde(default)]
    pub class_names: Vec<String>,
    /// How it was trained: command, seed, steps, figures. For people; nothing reads it.
    #[serde(default)]
    pub training: serde_json::Value,
}

impl Config {
    /// The layout that this version reads and writes.
    pub const FORMAT: u32 = 1;

    /// The configuration of an untrained network.
    pub fn new(architecture: Architecture) -> Self {
        Self {
            format: Self::FORMAT,
            architecture,
            data: String::new(),
            class_names: Vec::new(),
            training: serde_json::Value::Null,
        }
    }

    /// Reads `config.json`; the error says which field is wrong.
    pub(crate) fn parse(json: &[u8]) -> Result<Self, String> {
        let config: Self =
            serde_json::from_slice(json).map_err(|e| format!("{e}; is it a checkpoint's config.json?"))?;
        if config.format != Self::FORMAT {
            return Err(format!(
                "format {} is not known (this version reads {}); update driftlet",
                config.format,
                Self::FORMAT
            ));
        }
        config.architecture.validate().map_err(|problem| format!("architecture: {problem}"))?;
        let classes = config.architecture.classes();
        if !config.class_names.is_empty() && config.class_names.len() != classes {
            return Err(format!("class_names: {} names for {classes} classes", config.class_names.len()));
        }
        Ok(config)
    }
}
